"""A document that is made of another tool's: its nodes, and what could not be translated."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from flowengine.cli.importing.foreign_text import UnreadableError
from flowengine.jsonvalue import JsonValue
from flowengine.template import RESERVED_NAMES

NOT_TRANSLATED: Final = "not_translated"
MAX_NODES: Final = 1000
MAX_MESSAGE: Final = 300
_NO_ID: Final = re.compile(r"[^A-Za-z0-9_]+")
_LONGEST_ID: Final = 80


class Node(msgspec.Struct):
    """A node that is being made. `notes` stand above it as comments, then `original`, what it was made of."""

    id: str
    handler: str
    config: dict[str, JsonValue]
    dependencies: list[str]
    fields: dict[str, JsonValue] = {}
    notes: list[str] = []
    original: JsonValue = None

    def as_json(self) -> dict[str, JsonValue]:
        """The node as a document has it."""
        said: dict[str, JsonValue] = {"id": self.id, "handler": self.handler, "config": self.config}
        if self.dependencies:
            said["dependencies"] = list(dict.fromkeys(self.dependencies))
        return said | self.fields


class Translated(msgspec.Struct):
    """The document. `notes` stand above all of it."""

    name: str
    description: str = ""
    inputs: dict[str, JsonValue] = {}
    variables: dict[str, JsonValue] = {}
    nodes: list[Node] = []
    on_failure: list[Node] = []
    at_end: list[Node] = []
    notes: list[str] = []
    _ids: set[str] = set()

    def new_id(self, wanted: str) -> str:
        """An id like this that no node has yet. Raises UnreadableError where there are too many of them."""
        check_size(len(self._ids) + 1)
        plain = _NO_ID.sub("_", wanted).strip("_")[:_LONGEST_ID] or "step"
        if plain[0].isdigit() or plain in RESERVED_NAMES:
            plain = f"step_{plain}"
        found, number = plain, 1
        while found in self._ids:
            number += 1
            found = f"{plain}_{number}"
        self._ids.add(found)
        return found

    def add(self, node: Node, to: list[Node] | None = None) -> Node:
        """Take a node into the document, or into one of its hooks."""
        (self.nodes if to is None else to).append(node)
        return node

    def note(self, text: str) -> None:
        """Say once, above the document, what was left out."""
        if text not in self.notes:
            self.notes.append(text)

    def lists(self) -> Iterator[tuple[str, Sequence[Node]]]:
        """The lists of nodes that there are."""
        yield "nodes", self.nodes
        if self.on_failure:
            yield "on_failure", self.on_failure
        if self.at_end:
            yield "finally", self.at_end


def check_size(steps: int) -> None:
    """Raise UnreadableError for so many steps, before they are made."""
    if steps > MAX_NODES:
        raise UnreadableError(f"it has more than {MAX_NODES} steps: import its parts")


def placeholder(node_id: str, why: str, original: JsonValue, dependencies: Sequence[str]) -> Node:
    """A node in the place of a step that has no counterpart. It fails when it runs, and says why.

    One that did nothing would let a workflow complete of which half is missing.
    """
    node = Node(node_id, "assert", _fails(why), list(dependencies), original=original)
    node.notes.append(f"NOT TRANSLATED: {why}.")
    return node


def refuse(node: Node, why: str) -> None:
    """Let a node fail of which a part is missing that decides whether or with what it runs."""
    node.notes.append(f"NOT TRANSLATED: {why}.")
    if node.config.get("code") != NOT_TRANSLATED:
        node.original = {"handler": node.handler, "config": node.config}
        node.handler, node.config = "assert", _fails(why)


def refuse_placeholders(node: Node, untranslated: Iterable[str]) -> None:
    """The same, for placeholders in a node's config that mean nothing here."""
    for each in dict.fromkeys(untranslated):
        refuse(node, f"what {each!r} stands for")


def _fails(why: str) -> dict[str, JsonValue]:
    # What would be a template in a message is none.
    shown = why.replace("{", "(").replace("}", ")")[:MAX_MESSAGE]
    return {
        "that": "{{ false }}",
        "code": NOT_TRANSLATED,
        "message": f"this step is not translated yet: {shown}",
    }


def http_node(
    node_id: str,
    url: JsonValue,
    *,
    method: JsonValue = None,
    headers: Mapping[str, JsonValue] | None = None,
    body: JsonValue = None,
    dependencies: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> Node:
    """A call of a service."""
    config: dict[str, JsonValue] = {"url": url}
    if isinstance(method, str) and method.upper() not in ("", "GET"):
        config["method"] = method.upper()
    if headers:
        config["headers"] = {
            name: value if isinstance(value, str) else str(value) for name, value in headers.items()
        }
    if body is not None:
        config["body"] = body
    return Node(node_id, "http_request", config, list(dependencies), notes=list(notes))


def as_object(value: JsonValue) -> dict[str, JsonValue]:
    """The value, if it is an object; else an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: JsonValue) -> list[JsonValue]:
    """The value, if it is a list; of a lone value a list of it."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def objects(value: JsonValue) -> list[dict[str, JsonValue]]:
    """The objects of a list."""
    return [each for each in as_list(value) if isinstance(each, dict)]


def text_of(value: JsonValue, other: str = "") -> str:
    """The value as text; `other` for what is none."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else other


_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)?")
_ISO: Final = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")
_UNITS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds(value: JsonValue) -> float | None:
    """A duration in seconds: a number, `1h30m`, `PT5M`. None for anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, str) or not value.strip():
        return None
    text = value.strip()
    iso = _ISO.fullmatch(text)
    if iso is not None and text not in ("P", "PT"):
        parts = zip(iso.groups(), (86400, 3600, 60, 1), strict=True)
        return float(sum(float(part) * unit for part, unit in parts if part))
    if _DURATION.sub("", text):
        return None
    return float(sum(float(number) * _UNITS[unit or "s"] for number, unit in _DURATION.findall(text)))


def whole(value: float) -> float | int:
    """A number without a fraction as an integer."""
    return int(value) if value == int(value) else value


def retry(
    attempts: float | None,
    delay: float | None = None,
    factor: float | None = None,
    longest: float | None = None,
) -> dict[str, JsonValue]:
    """The `retry` of a node, each value within what it may be."""
    said: dict[str, JsonValue] = {"max_attempts": int(min(1000, max(1, attempts or 3)))}
    if delay is not None:
        said["delay_seconds"] = whole(min(delay, 86400))
        said["multiplier"] = whole(max(1.0, min(factor or 1.0, 100.0)))
    if longest is not None and longest >= (delay or 0):
        said["max_delay_seconds"] = whole(min(longest, 86400))
    return said


def timeout(node: Node, value: JsonValue) -> None:
    """Give a node the timeout that another tool's step has. Of two, the shorter one holds."""
    found = seconds(value)
    if found is not None and found > 0:
        before = node.fields.get("timeout_seconds")
        if isinstance(before, int | float):
            found = min(found, float(before))
        node.fields["timeout_seconds"] = whole(float(min(3600, max(1, round(found)))))
        if found > 3600:
            node.notes.append("Its timeout is longer than a node may take: an hour is the longest.")
