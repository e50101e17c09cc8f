"""Text on its way to a terminal: nothing in it acts, no matter who wrote it."""

from __future__ import annotations

import unicodedata

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from flowengine.plaintext import plain_text

HOSTILE = "\x1b]0;pwned\x07\x1b[31m\x1b[2J\x9b2J\u202egnp.exe\x7f"


def test_what_acts_is_spelled_out_and_the_rest_left_alone() -> None:
    """Escape sequences, C1 and bidi controls are shown; letters of all scripts are untouched."""
    assert plain_text("Grüße, 世界, שלום 🎉 \\x1b") == "Grüße, 世界, שלום 🎉 \\x1b"
    assert plain_text("\x1b[2J\t\x7f\x9b\u202e\u2028\ud800") == (
        "\\x1b[2J\\x09\\u007f\\u009b\\u202e\\u2028\\ud800"
    )


def test_newlines_stay_where_they_are_meant() -> None:
    """`keep_lines` keeps line breaks and no other control."""
    assert plain_text("a\r\nb") == "a\\x0d\\x0ab"
    assert plain_text("a\r\nb", keep_lines=True) == "a\\x0d\nb"


@given(st.text())
def test_no_control_gets_through(text: str) -> None:
    """Whatever the text, it can be printed and holds no control and no override of the reading order."""
    shown = plain_text(text)
    shown.encode()
    kinds = {unicodedata.category(character) for character in shown}
    assert kinds.isdisjoint({"Cc", "Cs", "Zl", "Zp"})
    assert {unicodedata.bidirectional(character) for character in shown}.isdisjoint(
        {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    )


@given(st.text(st.characters(codec="utf-8")))
def test_json_stays_the_same_value(text: str) -> None:
    """Programs that read the output of `--json` still get the value that was printed."""
    encoded = msgspec.json.encode({"a": text}).decode()
    assert msgspec.json.decode(plain_text(encoded)) == {"a": text}
