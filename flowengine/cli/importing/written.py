"""A translated document as YAML, with comments."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from typing import Final

from flowengine.cli.importing.translated import Node, Translated
from flowengine.jsonvalue import JsonValue
from flowengine.plaintext import plain_text

WIDEST: Final = 100
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./-]+)*")
_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def written(document: Translated, heading: Sequence[str]) -> str:
    """The text. `heading` stands above it."""
    lines = [_comment(line) for line in heading]
    if document.notes:
        lines += ["#", "# NOT TRANSLATED, of the workflow as a whole:"]
        lines += [_comment(f"- {note}") for note in document.notes]
    lines += ["", f"name: {_text(document.name)}"]
    if document.description:
        lines.append(f"description: {_text(document.description)}")
    for field, value in (("inputs", document.inputs), ("vars", document.variables)):
        if value:
            lines += [f"{field}:", *_block(value, "  ")]
    for field, nodes in document.lists():
        lines += [f"{field}:"] if nodes else [f"{field}: []"]
        for number, node in enumerate(nodes):
            lines += ["", *_node(node)] if number else _node(node)
    return "\n".join(lines) + "\n"


def _node(node: Node) -> list[str]:
    lines = [f"  {_comment(note)}" for note in node.notes]
    if node.original is not None:
        shown = _block(node.original, "") if isinstance(node.original, dict) else [_inline(node.original)]
        lines += [f"  {_comment('  ' + line)}" for line in shown]
    first, *rest = _block(node.as_json(), "    ")
    return [*lines, f"  - {first.strip()}", *rest]


def _comment(text: str) -> str:
    return f"# {plain_text(text)}".rstrip()


def _block(value: dict[str, JsonValue], indent: str) -> list[str]:
    lines: list[str] = []
    for name, each in value.items():
        key = (
            name
            if _KEY.fullmatch(name) and name.lower() not in _WORDS
            else json.dumps(name, ensure_ascii=False)
        )
        lines += _field(f"{indent}{key}:", each, indent)
    return lines


def _field(head: str, value: JsonValue, indent: str) -> list[str]:
    short = _inline(value)
    if not isinstance(value, dict | list) or not value or len(head) + len(short) < WIDEST:
        return [f"{head} {short}"]
    if isinstance(value, dict):
        return [head, *_block(value, f"{indent}  ")]
    return [head, *_items(value, f"{indent}  ")]


def _items(values: list[JsonValue], indent: str) -> Iterator[str]:
    for value in values:
        if isinstance(value, dict) and len(_inline(value)) + len(indent) >= WIDEST:
            first, *rest = _block(value, f"{indent}  ")
            yield f"{indent}- {first.strip()}"
            yield from rest
        else:
            yield f"{indent}- {_inline(value)}"


def _inline(value: JsonValue) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict):
        fields = (f"{_text(name)}: {_inline(each)}" for name, each in value.items())
        return "{" + ", ".join(fields) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return _text(str(value))
    return json.dumps(value)


def _text(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return json.dumps(text, ensure_ascii=not text.isprintable())
