"""Where in a JSON document the value of a pointer begins: what `validate` tells an editor."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from flowengine.jsonvalue import JsonValue, pointer_to
from flowengine.workflow.reading.json_parser import parse_json

TEXT = """{
  "name": "x",
  "nodes": [
    {"id": "a", "config": {"a/b": 1, "c~d": [true, null]}},
    {"id": "\\u0062",
     "config": {}}
  ]
}"""
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=12,
)


def locate(text: str, *pointers: str) -> dict[str, tuple[int, int]]:
    """Line and column of each pointer's value."""
    value, positions = parse_json(text.encode())
    found = positions.locate(value, pointers)
    return {pointer: found[pointer] for pointer in pointers}


def test_values_are_found_by_line_and_column() -> None:
    """Lines and columns count from 1 and point at the first character of the value."""
    assert locate(TEXT, "", "/name", "/nodes/1", "/nodes/1/config") == {
        "": (1, 1),
        "/name": (2, 11),
        "/nodes/1": (5, 5),
        "/nodes/1/config": (6, 16),
    }


def test_escaped_pointer_parts_are_understood() -> None:
    """~1 is a slash and ~0 a tilde, as RFC 6901 says."""
    found = locate(TEXT, "/nodes/0/config/a~1b", "/nodes/0/config/c~0d/1")
    assert found == {"/nodes/0/config/a~1b": (4, 35), "/nodes/0/config/c~0d/1": (4, 52)}


def test_a_pointer_to_nothing_is_placed_at_its_owner() -> None:
    """A missing field is reported where the object that lacks it begins."""
    assert locate(TEXT, "/nodes/1/handler", "/nodes/7/id") == {
        "/nodes/1/handler": (5, 5),
        "/nodes/7/id": (3, 12),
    }


@given(VALUES, st.sampled_from([None, 1]), st.booleans())
def test_every_value_of_any_document_is_found(document: JsonValue, indent: int | None, ascii_: bool) -> None:
    """The text at each value's position starts with that value."""
    text = json.dumps(document, indent=indent, ensure_ascii=ascii_)
    values = dict(_walk(document))
    lines = text.split("\n")
    for pointer, (line, column) in locate(text, *values).items():
        assert lines[line - 1][column - 1] == json.dumps(values[pointer])[:1]


def _walk(value: JsonValue, pointer: str = "") -> list[tuple[str, JsonValue]]:
    found = [(pointer, value)]
    if isinstance(value, list):
        for position, item in enumerate(value):
            found += _walk(item, pointer_to(pointer, str(position)))
    elif isinstance(value, dict):
        for key, item in value.items():
            found += _walk(item, pointer_to(pointer, key))
    return found
