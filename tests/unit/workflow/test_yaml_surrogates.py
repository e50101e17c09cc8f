r"""`"\ud83d\ude00"` in YAML: JSON's way to write an emoji, as programs write it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowengine.jsonvalue import JsonValue
from flowengine.workflow.reading.malformed import MalformedError
from flowengine.workflow.reading.yaml_parser import parse_yaml


def value(text: str) -> JsonValue:
    """The value of a YAML document."""
    return parse_yaml(text.encode())[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r'a: "\ud83d\ude00"', {"a": "😀"}),
        (r'a: "\uD83D\uDE00 and \ud83d\udE00"', {"a": "😀 and 😀"}),
        (r'"\ud83d\ude00": "\ud83d\ude00\ud83d\ude01x"', {"😀": "😀😁x"}),
        (r'["\\ud83d\\ude00", "\ud83d\ude00"]', ["\\ud83d\\ude00", "😀"]),
        (r'["\\\ud83d\ude00"]', ["\\😀"]),
        ("a: \"\\ud83d\\ude00\"\nb: '\\uD83D\\ude00'", {"a": "😀", "b": r"\uD83D\ude00"}),
        ("a: \"\\ud83d\\ude00\"\nb: x\\ud83d\\ude00", {"a": "😀", "b": r"x\ud83d\ude00"}),
        ("a: \"\\ud83d\\ude00\"\nb: |\n  \\ud83d\\ude00\n  \\\\uD83D\\uDE00\n", {
            "a": "😀", "b": "\\ud83d\\ude00\n\\\\uD83D\\uDE00\n",
        }),
        ("# \\ud83d\\ude00\na: \"\\ud83d\\ude00\" # \\ud83d", {"a": "😀"}),
        (r'a: "\U0001F600 \ud83d\ude00 😀"', {"a": "😀 😀 😀"}),
        ('a: "\\ud800\\udc00\\udbff\\udfff"', {"a": "\U00010000\U0010ffff"}),
        (r"a: '\ud83d\ude00'", {"a": r"\ud83d\ude00"}),
        ('a: "\ue03d\ue600"', {"a": "\ue03d\ue600"}),
        ('a: "\\ud83d\\ude00\ue03d\ue600\\U0000e83d"', {"a": "😀\ue03d\ue600\ue83d"}),
        (r'a: "\ud83d\ude00\ue03d\uE600"', {"a": "😀\ue03d\ue600"}),
    ],
)  # fmt: skip
def test_pair_of_escapes_is_one_character(text: str, expected: JsonValue) -> None:
    """Where YAML reads escapes; elsewhere it is text as it is written."""
    assert value(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        r'a: "\ud83d"',
        r'a: "\ude00\ud83d"',
        r'a: "\\ud83d\ude00"',
        'a: "\\ud83d\\ude00"\nb: "\\ud83d x"',
    ],
)
def test_half_of_a_pair_is_refused_at_its_place(text: str) -> None:
    """It is no character."""
    with pytest.raises(MalformedError, match="half of a surrogate pair") as caught:
        value(text)
    assert caught.value.line == text.count("\n") + 1


def test_what_follows_keeps_its_place() -> None:
    """Lines and columns are those of the text as it was sent."""
    document, positions = parse_yaml(rb'{a: "\ud83d\ude00", b: [x, "\ud83d\ude00", y]}')
    places = positions.locate(document, ["/b", "/b/2"])
    assert (places["/b"], places["/b/2"]) == ((1, 24), (1, 44))


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])))
def test_json_that_escapes_everything_is_read_as_json(text: str) -> None:
    """JSON is a part of YAML, pairs included."""
    assert value(json.dumps([text, "😀"])) == [text, "😀"]
