"""Fields of block mappings in another order, as lines: what stands above a field or beside it goes with it.

The document is known to be one that the workflow's reader takes: no anchors, no tags, not too deep.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
import yaml

from flowengine.cli.authoring.formatting.field_order import NODE_LISTS, NODE_ORDER, WORKFLOW_ORDER, ranked

_KEEPS_BREAKS: Final = "+"
_COMMENT: Final = re.compile(r"(?:^|(?<=\s))#.*", re.MULTILINE)


class _Field(msgspec.Struct, frozen=True):
    """A field's name, and its lines: from `top`, where its comments begin, over `first` to before `end`."""

    name: str
    top: int
    first: int
    end: int


def with_fields_in_order(text: str) -> str:
    """The text with the fields of the workflow and of all its nodes in order."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    lines = text.split("\n")
    # From the innermost to the outermost: the lines of a mapping move within those of the one around it.
    for mapping, order in reversed(list(_mappings(root))):
        _put_in_order(lines, mapping, order)
    return "\n".join(lines)


def with_comments_indented(text: str) -> str:
    """The text with each comment that has a line of its own at least as far in as what it stands above."""
    lines = text.split("\n")
    in_texts = set(_lines_of_texts(yaml.compose(text, Loader=yaml.SafeLoader), lines))
    column = 0
    for place in range(len(lines) - 1, -1, -1):
        line = lines[place]
        stripped = line.lstrip(" ")
        if place in in_texts or not stripped:
            continue
        indent = len(line) - len(stripped)
        if not stripped.startswith("#"):
            column = indent
        elif indent < column:
            lines[place] = " " * column + stripped
    return "\n".join(lines)


def comments(text: str) -> list[str]:
    """All comments, those beside a value too."""
    bare, at = [], 0
    for scalar in sorted(_scalars(yaml.compose(text, Loader=yaml.SafeLoader)), key=_begins):
        bare += [text[at : _begins(scalar)], "x"]
        at = scalar.end_mark.index
        if scalar.style in ("|", ">"):
            bare.append("\n")
    return _COMMENT.findall("".join([*bare, text[at:]]))


def _begins(scalar: yaml.ScalarNode) -> int:
    index: int = scalar.start_mark.index
    return index


def _lines_of_texts(root: yaml.Node | None, lines: Sequence[str]) -> Iterator[int]:
    """The lines that hold texts of many lines."""
    for scalar in _scalars(root):
        if scalar.style in ("|", ">"):
            yield from range(scalar.start_mark.line + 1, _last_line(lines, scalar) + 1)


def _scalars(root: yaml.Node | None) -> Iterator[yaml.ScalarNode]:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, yaml.ScalarNode):
            yield node
        elif isinstance(node, yaml.CollectionNode):
            waiting += [
                part for each in node.value for part in (each if isinstance(each, tuple) else (each,))
            ]


def _mappings(root: yaml.Node | None) -> Iterator[tuple[yaml.MappingNode, Sequence[str]]]:
    """The workflow and its nodes, each before those in it."""
    waiting: list[tuple[yaml.Node | None, Sequence[str], Sequence[str]]] = [
        (root, WORKFLOW_ORDER, NODE_LISTS)
    ]
    while waiting:
        node, order, lists = waiting.pop()
        if not isinstance(node, yaml.MappingNode):
            continue
        yield node, order
        for key, value in node.value:
            if key.value in lists and isinstance(value, yaml.SequenceNode):
                waiting += [(each, NODE_ORDER, ("nodes",)) for each in value.value]


def _put_in_order(lines: list[str], mapping: yaml.MappingNode, order: Sequence[str]) -> None:
    names = [key.value for key, _ in mapping.value]
    wanted = ranked(names, order)
    if mapping.flow_style or wanted == sorted(wanted):
        return
    fields = _fields(lines, mapping)
    if fields is None:
        return
    column = mapping.value[0][0].start_mark.column
    prefix = lines[fields[0].first][:column]
    texts, blanks = [], []
    for field in fields:
        body = lines[field.top : field.end]
        while body and not body[-1].strip():
            body.pop()
        blanks.append(field.end - field.top - len(body))
        texts.append((body, field.first - field.top))
    body, at = texts[0]
    texts[0] = ([*body[:at], " " * column + body[at][column:], *body[at + 1 :]], at)
    moved: list[str] = []
    for place, chosen in enumerate(wanted):
        body, at = texts[chosen]
        if place == 0:
            body = [*body[:at], prefix + body[at][column:], *body[at + 1 :]]
        moved += [*body, *[""] * blanks[place]]
    lines[fields[0].top : fields[-1].end] = moved


def _fields(lines: Sequence[str], mapping: yaml.MappingNode) -> list[_Field] | None:
    """The fields with their lines; None where lines cannot be moved: two fields share one, say."""
    column = mapping.value[0][0].start_mark.column
    starts = [key.start_mark.line for key, _ in mapping.value]
    if len(set(starts)) < len(starts) or any(key.start_mark.column != column for key, _ in mapping.value):
        return None
    tops = [starts[0], *(_top(lines, start, column) for start in starts[1:])]
    ends = [*tops[1:], _last_line(lines, mapping.value[-1][1]) + 1]
    names = [key.value for key, _ in mapping.value]
    if any(_keeps_breaks(lines, value) for _, value in mapping.value):
        return None
    return [_Field(*each) for each in zip(names, tops, starts, ends, strict=True)]


def _top(lines: Sequence[str], start: int, column: int) -> int:
    """Where the comments directly above a field begin. What is indented more may be a text of many lines."""
    top = start
    while top > 0 and lines[top - 1].startswith(" " * column + "#"):
        top -= 1
    return top


def _last_line(lines: Sequence[str], value: yaml.Node) -> int:
    """The last line of a value."""
    while isinstance(value, yaml.CollectionNode) and not value.flow_style and value.value:
        last = value.value[-1]
        value = last[1] if isinstance(last, tuple) else last
    line: int = value.end_mark.line
    if isinstance(value, yaml.ScalarNode) and value.style in ("|", ">"):
        line -= 1
        while line > value.start_mark.line and not lines[line].strip():
            line -= 1
    return line


def _keeps_breaks(lines: Sequence[str], value: yaml.Node) -> bool:
    """Whether blank lines behind a value belong to it."""
    while isinstance(value, yaml.CollectionNode) and value.value:
        last = value.value[-1]
        value = last[1] if isinstance(last, tuple) else last
    if not isinstance(value, yaml.ScalarNode) or value.style not in ("|", ">"):
        return False
    header = lines[value.start_mark.line][value.start_mark.column :].partition("#")[0]
    return _KEEPS_BREAKS in header
