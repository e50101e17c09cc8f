"""Which name is proposed to somebody who wrote another one, and that none is where none is close."""

from __future__ import annotations

import pytest

from flowengine.nearest_name import nearest_name

FIELDS = ("id", "handler", "config", "dependencies", "timeout_seconds")


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("handlr", "handler"),
        ("hanlder", "handler"),
        ("handlers", "handler"),
        ("Handler", "handler"),
        ("timeoutSeconds", "timeout_seconds"),
        ("timeout-second", "timeout_seconds"),
        ("dependancies", "dependencies"),
        ("dependncy", None),
        ("confgi", "config"),
        ("env", None),
        ("steps", None),
        ("on", None),
        ("x", None),
        ("i", None),
        ("", None),
    ],
)
def test_only_a_close_name_is_proposed(word: str, meant: str | None) -> None:
    """One slip in four characters, three at most; capitals, `-` and `_` do not count."""
    assert nearest_name(word, FIELDS) == meant


def test_the_closest_of_several_is_proposed() -> None:
    """Not the first one."""
    assert nearest_name("fetch_users", ["fetch_use", "fetch_user", "load"]) == "fetch_user"
    assert nearest_name("fetch", ["Fetch", "fetch"]) == "Fetch"


def test_comparing_a_long_name_with_many_takes_no_time() -> None:
    """The time grows with the length, not with its square."""
    names = ["x" * 60 + f"{place:04}" for place in range(1000)]
    assert nearest_name("x" * 60 + "0A07", names) == names[7]
