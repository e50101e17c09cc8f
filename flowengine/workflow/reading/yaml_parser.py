"""Reading a document in YAML, hostile or not: JSON's values, written in YAML.

One pass over the parser's events builds the value, and stops at the first thing that is not allowed. PyYAML's
own composer dies of 30,000 nested brackets, and its constructor expands merge keys without limit. Keys are
always text, as written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import yaml

from flowengine.jsonvalue import JsonValue
from flowengine.workflow.problems import quoted
from flowengine.workflow.reading.malformed import (
    HALF_OF_PAIR,
    MAX_CONTAINERS,
    MAX_DEPTH,
    MalformedError,
    malformed_at,
    plain_utf8,
)
from flowengine.workflow.reading.positions import Positions
from flowengine.workflow.reading.yaml_scalars import resolve
from flowengine.workflow.reading.yaml_surrogates import REFUSED_BY_LIBYAML, SurrogatePairs, surrogate_pairs

MAX_YAML_VALUES: Final = 100_000
_HALF: Final = re.compile(r"\\u[dD][89a-fA-F]")
_DIRECTIVE: Final = re.compile(rb"(?:[ \t]*+(?:#[^\n]*+)?\r?\n)*+%")
_REST: Final = re.compile(r"(?:\s|#[^\n]*+|\.\.\.(?=\s|$))*+")
_TOO_DEEP: Final = "exceeded maximum nesting depth"
"""What libyaml says from 0.2.6 on: its scanner stops at 1000 levels, before the first event comes out."""
_TOO_DEEP_MESSAGE: Final = f"the document is nested more than {MAX_DEPTH} deep"
_TEMPLATE_HINT: Final = (
    '; if this is a template, quote it: key: "{{ ... }}" (unquoted, a brace begins an object)'
)


def parse_yaml(body: bytes) -> tuple[JsonValue, Positions]:
    """The value of a YAML document, and where its parts are. The caller bounds the size of the body.

    Raises MalformedError for what is no YAML or no UTF-8, for too much depth, too many values, aliases,
    anchors, tags, merge keys, directives, repeated keys, several documents, and a scalar that JSON has no
    value for.
    """
    source = plain_utf8(body)
    if _DIRECTIVE.match(source):
        raise MalformedError("yaml_directive", "YAML directives (%...) are not allowed", line=1, column=1)
    text = source.decode()
    try:
        return _built(text, _Builder(text))
    except yaml.YAMLError as error:
        pairs = surrogate_pairs(text) if getattr(error, "problem", "") == REFUSED_BY_LIBYAML else None
        if pairs is None:
            raise _not_yaml(text, error) from error
    try:
        return _built(pairs.text, _Builder(pairs.text, pairs))
    except yaml.YAMLError as error:
        raise _not_yaml(text, error) from error


def _built(text: str, builder: _Builder) -> tuple[JsonValue, Positions]:
    for event in _events(text):
        if builder.take(event):
            return builder.root, builder.positions
    raise MalformedError("empty_document", "the document is empty", line=1, column=1)


def _events(text: str) -> Iterator[Any]:
    events: Iterator[Any] = yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return events


def _not_yaml(text: str, error: yaml.YAMLError) -> MalformedError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    words = [getattr(error, "context", None), getattr(error, "problem", None)]
    message = ", ".join(word for word in words if word) or "it holds a character that YAML does not allow"
    if words[1] == REFUSED_BY_LIBYAML and _HALF.search(text):
        message = HALF_OF_PAIR
    if mark is None:
        offset = getattr(error, "position", 0)
        return malformed_at("malformed_yaml", f"this is not YAML: {message}", text.encode(), offset)
    if _TOO_DEEP in message:
        return MalformedError("too_deep", _TOO_DEEP_MESSAGE, line=mark.line + 1, column=mark.column + 1)
    hint = _TEMPLATE_HINT if _line_holds(text, mark.index, "{{") else ""
    return MalformedError(
        "malformed_yaml", f"this is not YAML: {message}{hint}", line=mark.line + 1, column=mark.column + 1
    )


def _line_holds(text: str, index: int, part: str) -> bool:
    end = text.find("\n", index)
    return text.find(part, text.rfind("\n", 0, index) + 1, end if end >= 0 else len(text)) >= 0


class _Level:
    """A list or object that is being built. `key` waits for its value; `key_mark` is where it stands."""

    __slots__ = ("key", "key_mark", "value")

    def __init__(self, value: list[JsonValue] | dict[str, JsonValue]) -> None:
        self.value = value
        self.key: str | None = None
        self.key_mark: Any = None


class _Builder:
    """Builds the value of a document from the parser's events, one after the other."""

    def __init__(self, text: str, pairs: SurrogatePairs | None = None) -> None:
        self.root: JsonValue = None
        self.positions = Positions(lambda marks: {mark: (mark >> 32, mark & 0xFFFFFFFF) for mark in marks})
        self._text = text
        self._pairs = pairs
        self._levels: list[_Level] = []
        self._containers = 0

    def take(self, event: Any) -> bool:
        """Take one event; True when the document is whole. Raises MalformedError."""
        if isinstance(event, yaml.NodeEvent):
            self._refuse_extras(event)
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, yaml.MappingStartEvent):
            self._open({}, event)
        elif isinstance(event, yaml.SequenceStartEvent):
            self._open([], event)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._levels.pop()
        elif isinstance(event, yaml.DocumentEndEvent):
            self._refuse_more(event)
            return True
        return False

    def _refuse_extras(self, event: Any) -> None:
        if isinstance(event, yaml.AliasEvent):
            raise _at("yaml_alias", "aliases (*name) are not allowed: write the value out", event)
        if event.anchor is not None:
            raise _at("yaml_anchor", "anchors (&name) are not allowed: write the value out", event)
        if event.tag is not None:
            raise _at("yaml_tag", "tags (!name) are not allowed: quote the value if it is text", event)

    def _refuse_more(self, event: Any) -> None:
        rest = self._text[event.end_mark.index :]
        if _REST.fullmatch(rest) is None:
            raise _at("yaml_several_documents", "there is more than one document: send one", event)

    def _scalar(self, event: Any) -> None:
        if self._pairs is not None:
            event.value = self._pairs.restore(event.value, is_escaped=event.style == '"')
        level = self._levels[-1] if self._levels else None
        if level is not None and isinstance(level.value, dict) and level.key is None:
            self._key(level, event)
            return
        value: JsonValue = event.value
        if event.implicit[0]:
            try:
                value = resolve(event.value)
            except ValueError as error:
                raise _at("invalid_scalar", str(error), event) from error
        self._place(value, event)

    def _key(self, level: _Level, event: Any) -> None:
        key: str = event.value
        if key == "<<" and event.implicit[0]:
            raise _at("yaml_merge_key", "merge keys (<<) are not allowed: write the values out", event)
        if key in level.value:
            raise _at("duplicate_key", f"the key {quoted(key)} appears twice in one object", event)
        level.key, level.key_mark = key, event.start_mark

    def _open(self, value: list[JsonValue] | dict[str, JsonValue], event: Any) -> None:
        level = self._levels[-1] if self._levels else None
        if level is not None and isinstance(level.value, dict) and level.key is None:
            raise _at("yaml_key", f"a key must be text, not a list or an object{_TEMPLATE_HINT}", event)
        self._place(value, event)
        self._levels.append(_Level(value))
        self._containers += 1
        if len(self._levels) > MAX_DEPTH:
            raise _at("too_deep", _TOO_DEEP_MESSAGE, event)
        if self._containers > MAX_CONTAINERS:
            raise _at(
                "too_many_values", f"the document holds more than {MAX_CONTAINERS} lists and objects", event
            )

    def _place(self, value: JsonValue, event: Any) -> None:
        mark = event.start_mark
        if not self._levels:
            self.root = value
        else:
            level = self._levels[-1]
            if isinstance(level.value, list):
                level.value.append(value)
            elif level.key is not None:
                level.value[level.key] = value
                mark = mark if mark.line == level.key_mark.line else level.key_mark
                level.key = None
        self.positions.marks.append((mark.line + 1) << 32 | mark.column + 1)
        if len(self.positions.marks) > MAX_YAML_VALUES:
            raise _at("too_many_values", f"the document holds more than {MAX_YAML_VALUES} values", event)


def _at(reason: str, message: str, event: Any) -> MalformedError:
    mark = event.start_mark
    return MalformedError(reason, message, line=mark.line + 1, column=mark.column + 1)
