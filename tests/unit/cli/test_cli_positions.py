"""Where a JSON pointer points in a text."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from flowengine.cli.positions import locate

TEXT = """{
  "name": "x",
  "nodes": [
    {"id": "a", "config": {"a/b": 1, "c~d": [true, null]}},
    {"id": "\\u0062",
     "config": {}}
  ]
}"""


def test_values_are_found_by_line_and_column() -> None:
    """Lines and columns count from 1 and point at the first character of the value."""
    found = locate(TEXT, ["", "/name", "/nodes/1", "/nodes/1/config"])
    assert found == {"": (1, 1), "/name": (2, 11), "/nodes/1": (5, 5), "/nodes/1/config": (6, 16)}


def test_escaped_pointer_parts_are_understood() -> None:
    """~1 is a slash and ~0 a tilde, as RFC 6901 says."""
    found = locate(TEXT, ["/nodes/0/config/a~1b", "/nodes/0/config/c~0d/1"])
    assert found == {"/nodes/0/config/a~1b": (4, 35), "/nodes/0/config/c~0d/1": (4, 52)}


def test_pointers_to_nothing_are_left_out() -> None:
    """A pointer that leads nowhere has no position."""
    assert locate(TEXT, ["/nodes/7", "/name/0"]) == {}


def test_text_that_is_no_json_does_not_break_it() -> None:
    """Unbalanced brackets and stray marks give no error."""
    assert locate("]}:,{", ["/x"]) == {}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=12,
    ),
    st.sampled_from([None, 1]),
)
def test_every_value_of_any_document_is_found(document: object, indent: int | None) -> None:
    """The text at each value's position starts with that value."""
    text = json.dumps(document, indent=indent)
    pointers = dict(_walk(document))
    found = locate(text, pointers)
    assert found.keys() == pointers.keys()
    lines = text.split("\n")
    for pointer, (line, column) in found.items():
        first = json.dumps(pointers[pointer])[:1]
        assert lines[line - 1][column - 1] == first


def _walk(value: object, pointer: str = "") -> list[tuple[str, object]]:
    found = [(pointer, value)]
    if isinstance(value, list):
        for position, item in enumerate(value):
            found += _walk(item, f"{pointer}/{position}")
    elif isinstance(value, dict):
        for key, item in value.items():
            found += _walk(item, f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}")
    return found
