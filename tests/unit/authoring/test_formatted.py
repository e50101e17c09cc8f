"""The one layout of a workflow: what moves, what stays, and what is refused."""

from __future__ import annotations

import pytest

from flowengine.cli.authoring.formatting.formatted import UnformattableError, formatted
from flowengine.workflow.reading.malformed import MalformedError


def laid_out(text: str) -> str:
    """The text in the one layout, which formatting again must not change."""
    found = formatted(text.encode())
    assert formatted(found.encode()) == found
    return found


def test_fields_stand_in_one_order_and_comments_go_with_them() -> None:
    """Those above a field and those beside it; what stands above the first field or a node stays there."""
    text = """\
# What this is.
nodes:
# the first node
- handler: set
  # why it waits
  dependencies: [b]
  id: a # its name
  config: {value: 1}

- id: b
  handler: set
  config:
      value: 2
# what it is called
name: x  # short
"""
    assert (
        laid_out(text)
        == """\
# What this is.
# what it is called
name: x  # short
nodes:
  # the first node
  - id: a # its name
    handler: set
    config: {value: 1}
    # why it waits
    dependencies: [b]

  - id: b
    handler: set
    config:
      value: 2
"""
    )


def test_order_of_configs_and_unknown_fields_stays() -> None:
    """A body that is sent keeps its order; a field that this version does not know comes last."""
    text = "later: 1\nearlier: 2\nnodes:\n  - config: {z: 1, a: 2}\n    id: a\n    handler: set\nname: x\n"
    assert laid_out(text) == (
        "name: x\nnodes:\n  - id: a\n    handler: set\n    config: {z: 1, a: 2}\nlater: 1\nearlier: 2\n"
    )


def test_values_stay_as_they_are_written() -> None:
    """Numbers, dates, words, quotes, nothing at all, and texts of many lines."""
    text = """\
name: 'single'
description: |
  # no comment
    indented

  last
inputs:
  day: {default: 2026-11-28T02:00:00Z}
  rate: {default: 1.50e3}
  word: {default: yes}
  octal: {default: 0o14}
  nothing: {default: null}
  empty:
    default:
nodes:
  - {id: a, handler: set, config: {value: "{{ 'ü' }}"}}
  - id: b
    handler: set
    config:
      value: >-
        one
        two

        three
"""
    assert laid_out(text) == text


def test_fields_in_braces_are_put_in_order() -> None:
    """Of nodes; a group's own nodes too."""
    text = (
        "name: x\nnodes:\n  - {handler: set, id: a, config: {b: 1, a: 2}}\n"
        "  - {nodes: [{handler: set, id: b}], id: g}\n"
    )
    assert laid_out(text) == (
        "name: x\nnodes:\n  - {id: a, handler: set, config: {b: 1, a: 2}}\n"
        "  - {id: g, nodes: [{id: b, handler: set}]}\n"
    )


def test_blank_lines_stay_where_they_are_when_fields_move() -> None:
    """They part the text, and belong to no field."""
    text = "nodes:\n  - id: a\n    handler: set\n\nname: x\ndescription: y\n"
    assert laid_out(text) == "name: x\n\ndescription: y\nnodes:\n  - id: a\n    handler: set\n"


def test_text_that_keeps_its_last_lines_is_not_moved() -> None:
    """The blank lines behind it belong to it."""
    text = "nodes: []\ndescription: |+\n  a\n\n\nname: x\n"
    assert laid_out(text) == text


def test_byte_order_mark_and_carriage_returns_go() -> None:
    """What is left is what all tools read."""
    assert formatted(b"\xef\xbb\xbfname: x\r\nnodes: []\r\n") == "name: x\nnodes: []\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [("a: &x 1\nb: *x\n", "yaml_anchor"), ("a: [", "malformed_yaml"), ("", "empty_document")],
)
def test_what_no_workflow_may_be_written_in_is_refused(text: str, reason: str) -> None:
    """As the reader of workflows does."""
    with pytest.raises(MalformedError) as refused:
        formatted(text.encode())
    assert refused.value.reason == reason


def test_comments_among_braces_stay() -> None:
    """One that has no line to stand on in the layout is refused, and not lost."""
    text = "name: x\nnodes:\n  - {id: a,  # one\n     # two\n     handler: set}  # three\n"
    with pytest.raises(UnformattableError, match="a comment would be lost"):
        laid_out(text)
    without = text.replace("  # one", "").replace("     # two\n", "")
    assert laid_out(without).endswith("  - {id: a, handler: set} # three\n")
