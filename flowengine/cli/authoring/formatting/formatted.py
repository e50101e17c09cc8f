"""The text of a workflow in the one layout, or why it has none. Pure.

Fields stand in one order and blocks are indented by two spaces. Values, quotes, texts of many lines, flow
collections, comments and blank lines stay. What comes out says the same as what came in: this is looked at
each time, and a text that would say something else is refused.
"""

from __future__ import annotations

import io
from collections import Counter
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.resolver import VersionedResolver
from ruamel.yaml.tag import Tag
from yaml import YAMLError as PyYamlError

from flowengine.cli.authoring.formatting.field_order import (
    NODE_LISTS,
    NODE_ORDER,
    WORKFLOW_ORDER,
    ordered,
    ranked,
)
from flowengine.cli.authoring.formatting.moved_lines import (
    comments,
    with_comments_indented,
    with_fields_in_order,
)
from flowengine.errors import FlowEngineError
from flowengine.jsonvalue import encode
from flowengine.workflow.reading.yaml_parser import parse_yaml

ANY_WIDTH: Final = 1_000_000
"""Lines are not broken: where to do so is the author's choice."""
ROUNDS: Final = 4
_NULL: Final = Tag(suffix="tag:yaml.org,2002:null")


class UnformattableError(FlowEngineError):
    """The text is valid, and cannot be laid out without a change of what it says."""

    code = "not_formattable"


def formatted(body: bytes) -> str:
    """The text in the one layout. Formatting that again changes nothing.

    Raises MalformedError for what is no YAML that a workflow may be written in, UnformattableError.
    """
    before, _ = parse_yaml(body)
    if not isinstance(before, dict):
        raise UnformattableError("this is no workflow: one is an object with 'name' and 'nodes'")
    said = encode(ordered(before))
    source = body.decode("utf-8-sig").replace("\r\n", "\n")
    text = source
    for _ in range(ROUNDS):
        last, text = text, _laid_out(text)
        if text == last:
            break
    else:
        raise UnformattableError(
            "its layout does not settle: move comments out of lists and objects in braces"
        )
    after, _ = parse_yaml(text.encode())
    if encode(ordered(after)) != said:
        raise UnformattableError("it would say something else in another layout")
    if Counter(map(str.rstrip, comments(source))) != Counter(map(str.rstrip, comments(text))):
        raise UnformattableError("a comment would be lost: move it to a line of its own, between two fields")
    return text


def _laid_out(text: str) -> str:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = ANY_WIDTH
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.Resolver = _AsWritten
    out = io.StringIO()
    try:
        document = yaml.load(with_fields_in_order(text))
        _put_in_order(document, WORKFLOW_ORDER, NODE_LISTS)
        yaml.dump(document, out)
        return with_comments_indented(out.getvalue())
    except (YAMLError, PyYamlError, AttributeError, AssertionError) as error:
        # The library's own failures over what it cannot lay out, such as comments in odd places.
        raise UnformattableError(f"it cannot be laid out: {type(error).__name__}") from error


def _put_in_order(value: Any, order: tuple[str, ...], lists: tuple[str, ...]) -> None:
    """Fields of objects in braces, which have no lines of their own to be moved."""
    if not isinstance(value, CommentedMap):
        return
    if value.fa.flow_style():
        names = list(value)
        for at in ranked(names, order):
            value.move_to_end(names[at])
    for name in lists:
        listed = value.get(name)
        if isinstance(listed, CommentedSeq):
            for node in listed:
                _put_in_order(node, NODE_ORDER, ("nodes",))


class _AsWritten(VersionedResolver):
    """Takes every plain scalar as a text, so that numbers, dates and words come out as they are written."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        """The tag of a node."""
        if kind is ScalarNode:
            return _NULL if value == "" and implicit[0] else self.DEFAULT_SCALAR_TAG
        return super().resolve(kind, value, implicit)
