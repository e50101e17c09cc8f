"""Tokens of callback URLs: the same for the same node and run, another for any other, none made up."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from flowengine.execution.callback_tokens import is_genuine, read_token, token_of, url_of

SEED = b"5eed"
TOKEN = token_of(SEED, "19b7ca98f2ef2c4d1b3a9e87f60", 3, 2)


def test_a_token_is_read_as_it_was_written_and_is_genuine() -> None:
    """Under its seed alone."""
    found = read_token(str(TOKEN))
    assert found == TOKEN
    assert is_genuine(TOKEN, SEED)
    assert not is_genuine(TOKEN, b"other")


@pytest.mark.parametrize(
    "changed", [{"node": 4}, {"run": 3}, {"execution": "19b7ca98f2ef2c4d1b3a9e87f61"}, {"proof": "A" * 43}]
)
def test_a_token_of_anything_else_is_not_genuine(changed: dict[str, object]) -> None:
    """Each part of it counts."""
    assert not is_genuine(replace(TOKEN, **changed), SEED)


def test_numbers_cannot_be_moved_from_one_part_to_another() -> None:
    """Node 1 in run 12 is not node 11 in run 2."""
    assert token_of(SEED, "x", 1, 12).proof != token_of(SEED, "x", 11, 2).proof


@pytest.mark.parametrize(
    "text", ["", "x", "a.1.1", f"{TOKEN}.x", f"{TOKEN}é", "../../x", "a.-1.1." + "A" * 43]
)
def test_what_cannot_be_a_token_is_none(text: str) -> None:
    """Whatever it is."""
    assert read_token(text) is None


@pytest.mark.parametrize("base", ["https://flow.example/api", "https://flow.example/api/"])
def test_its_url_lies_below_the_base(base: str) -> None:
    """With one slash between them."""
    assert url_of(base, TOKEN) == f"https://flow.example/api/callbacks/{TOKEN}"
