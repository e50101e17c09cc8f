"""A map's items are known: what is stored of them, and what is sent for each."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from flowengine.execution.messages import Item, ItemTry, RunNode
from flowengine.execution.records import ItemChildren, MapRecord
from flowengine.execution.reports import Expanded


class StoredItem(msgspec.Struct, frozen=True, array_like=True):
    """An item as it is stored. `key`: None where that is its index."""

    value: msgspec.Raw
    key: str | None = None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(StoredItem).decode


def map_of(expanded: Expanded, now: int, children: ItemChildren | None = None) -> MapRecord:
    """What the node's record says of its items from now on. `children`: of a map of a group."""
    max_ms = expanded.max_ms
    record = MapRecord(len(expanded.items), expanded.at_once, expanded.tolerated, max_ms=max_ms)
    return replace(record, until=_until(max_ms, now), children=children)


def _until(max_ms: int, now: int) -> int:
    return now + max_ms if max_ms else 0


def items_to_store(expanded: Expanded) -> tuple[bytes, ...]:
    """The items, each as it is stored."""
    if not expanded.keys:
        return tuple([_encode(StoredItem(value)) for value in expanded.items])
    pairs = zip(expanded.items, expanded.keys, strict=True)
    return tuple([_encode(StoredItem(value, key)) for value, key in pairs])


def key_of(stored: bytes, index: int) -> str:
    """The key of a stored item."""
    key = _decode(stored).key
    return str(index) if key is None else key


def value_of(stored: bytes) -> bytes:
    """The value of a stored item, as JSON."""
    return bytes(_decode(stored).value)


def item_of(stored: bytes, wanted: ItemTry, name: str) -> Item:
    """A stored item as its task carries it."""
    found = _decode(stored)
    key = str(wanted.index) if found.key is None else found.key
    return Item(wanted.index, wanted.number, key, found.value, name, wanted.answered)


def task_of_item(base: RunNode, stored: bytes, wanted: ItemTry, name: str) -> RunNode:
    """The task of a try of an item, made of what the tasks of all items of the map have in common."""
    item = item_of(stored, wanted, name)
    answered = base.answered + wanted.answered
    return replace(base, item=item, attempt=item.number, answered=answered, moment=wanted.moment)


def reopened(record: MapRecord, left: Sequence[tuple[int, int]], now: int) -> MapRecord:
    """The record of a map of which only these items run again. They have all of its time."""
    kept, until = record.total - record.out - len(left), _until(record.max_ms, now)
    children = record.children
    if children is not None:
        children = replace(children, run=children.run + 1)
    return replace(
        record,
        kept=kept,
        completed=0,
        failed=0,
        again=True,
        chosen=False,
        until=until,
        children=children,
        over=False,
    )
