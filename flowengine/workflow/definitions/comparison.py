"""What differs between two documents, in a person's terms: nodes added and removed, fields changed. Pure.

Nodes are told apart by their ids, within their list. Of objects each field is looked at; lists, texts and
numbers are replaced as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Literal, TypeAlias

import msgspec

from flowengine.jsonvalue import JsonValue, encode
from flowengine.workflow.children.group import GROUP

Kind: TypeAlias = Literal["added", "removed", "changed", "moved"]

MAX_VALUE_CHARS: Final = 200
"""Of a value, a difference shows so much of its JSON."""
MAX_DIFFERENCES: Final = 500
NODE_LISTS: Final = ("nodes", "on_failure", "finally")

_Object: TypeAlias = Mapping[str, JsonValue]


class Difference(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that differs.

    `node`: the id of the node that it is about; without it, the document as a whole. `field`: which one of
    its fields, with dots (`config.url`); without it, the node itself. `before` and `after`: the value as
    JSON, cut; there where there is one. `moved`: only the order of nodes or of fields differs.
    """

    kind: Kind
    node: str | None = None
    field: str | None = None
    before: str | None = None
    after: str | None = None


def differences(before: JsonValue, after: JsonValue) -> tuple[Difference, ...]:
    """What differs, in the order of the later document, at most MAX_DIFFERENCES."""
    found: list[Difference] = []
    for each in _of_documents(_object(before), _object(after)):
        found.append(each)
        if len(found) == MAX_DIFFERENCES:
            break
    if not found and encode(before) != encode(after):
        found.append(Difference(kind="moved"))
    return tuple(found)


def _of_documents(before: _Object, after: _Object) -> Iterator[Difference]:
    fields_before = {name: value for name, value in before.items() if name not in NODE_LISTS}
    fields_after = {name: value for name, value in after.items() if name not in NODE_LISTS}
    yield from _of_fields(fields_before, fields_after, None, "")
    for name in NODE_LISTS:
        yield from _of_nodes(name, _nodes(before.get(name)), _nodes(after.get(name)))


def _of_nodes(name: str, before: Mapping[str, _Object], after: Mapping[str, _Object]) -> Iterator[Difference]:
    for node, fields in after.items():
        if node not in before:
            yield Difference(kind="added", node=node, after=_shown(_work(fields)))
        else:
            yield from _of_node(node, before[node], fields)
    for node, fields in before.items():
        if node not in after:
            yield Difference(kind="removed", node=node, before=_shown(_work(fields)))
    if [node for node in before if node in after] != [node for node in after if node in before]:
        yield Difference(kind="moved", field=name)


def _work(fields: _Object) -> JsonValue:
    """What a node does, in a word."""
    return fields.get("handler", GROUP if "nodes" in fields else None)


def _of_node(node: str, before: _Object, after: _Object) -> Iterator[Difference]:
    """A group's nodes are looked at as others are."""
    groups = [_nodes(fields.get("nodes")) for fields in (before, after)]
    if not any(groups):
        yield from _of_fields(before, after, node, "")
        return
    plain = [{name: value for name, value in fields.items() if name != "nodes"} for fields in (before, after)]
    yield from _of_fields(plain[0], plain[1], node, "")
    yield from _of_nodes("nodes", groups[0], groups[1])


def _of_fields(before: _Object, after: _Object, node: str | None, path: str) -> Iterator[Difference]:
    for name in dict.fromkeys((*before, *after)):
        field = f"{path}{name}"
        if name not in after:
            yield Difference(kind="removed", node=node, field=field, before=_shown(before[name]))
        elif name not in before:
            yield Difference(kind="added", node=node, field=field, after=_shown(after[name]))
        else:
            yield from _of_values(before[name], after[name], node, field)


def _of_values(before: JsonValue, after: JsonValue, node: str | None, field: str) -> Iterator[Difference]:
    if isinstance(before, dict) and isinstance(after, dict):
        yield from _of_fields(before, after, node, f"{field}.")
    elif encode(before) != encode(after):
        yield Difference(kind="changed", node=node, field=field, before=_shown(before), after=_shown(after))


def _nodes(listed: JsonValue) -> dict[str, _Object]:
    """The nodes of a list that have an id, by it."""
    found: dict[str, _Object] = {}
    for node in listed if isinstance(listed, list) else ():
        if isinstance(node, dict) and isinstance(node_id := node.get("id"), str):
            found[node_id] = node
    return found


def _object(value: JsonValue) -> _Object:
    return value if isinstance(value, dict) else {}


def _shown(value: JsonValue) -> str:
    text = encode(value).decode()
    return text if len(text) <= MAX_VALUE_CHARS else f"{text[: MAX_VALUE_CHARS - 3]}..."
