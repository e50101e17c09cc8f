"""Where secrets are searched for: a closer look spares most texts the whole search, and misses nothing."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowengine.handlers.secrets.escaped_forms import EscapedForms
from flowengine.handlers.secrets.redaction import Secrets
from flowengine.jsonvalue import encode
from tests.support.cpu import least_cpu_s

WAYS: tuple[Callable[[str], str], ...] = (
    str,
    str.upper,
    quote,
    quote_plus,
    html.escape,
    lambda text: text.encode().decode("latin-1"),
    lambda text: json.dumps(text)[1:-1],
    lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    lambda text: "".join(each if each.isalnum() else f"&#{ord(each)};" for each in text),
    lambda text: "".join(f"\\x{ord(each):02x}" if each in "!-/+" else each for each in text),
)


@pytest.mark.parametrize(
    "secret",
    [
        "the",
        "!the",
        "the!",
        "%the%",
        "a the",
        "x-the y",
        "the\\b",
        "b\\the",
        "\u00e9the\u00e9",
        "+the/a=",
        '"the"',
        "\u0130the\u0131",
        "12-thee-the",
    ],
)
@given(
    ways=st.lists(st.sampled_from(WAYS), max_size=4),
    before=st.text("the!%\\ +-&;0b", max_size=6),
    after=st.text("the!%\\ +-&;0b", max_size=6),
)
def test_a_closer_look_finds_whatever_the_search_would(
    secret: str, ways: list[Callable[[str], str]], before: str, after: str
) -> None:
    """What stands beside the landmark may be written in any way."""
    form = EscapedForms(secret)
    written = secret
    for way in ways:
        written = way(written)
    text = f"{before}{written}{after}"
    if form.replaced(text, "") != text:
        assert form.is_likely_in(text, text.lower())


def test_a_common_word_in_a_secret_costs_little() -> None:
    """A megabyte of prose has its longest word thousands of times. Each such secret cost half a second."""
    secrets = Secrets({"FLOWENGINE_SECRET_KEY": "pass?and.the-other%"})
    prose = ["and the other", "of another", "others", "\\other "] * 20_000
    data = encode(prose)

    def search() -> None:
        assert secrets.redact_json(data) is data
        assert secrets.redact(data.decode()) == data.decode()

    assert least_cpu_s(search, below=0.5) < 0.5
