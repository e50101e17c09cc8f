"""What a map gives, and what is shown of its items. Pure data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeAlias

import msgspec

from flowengine.execution.records import ItemRecord, MapRecord, NodeError

ItemStatus: TypeAlias = Literal["pending", "running", "completed", "failed", "cancelled"]

_NULL: Final = msgspec.Raw(b"null")


class MapCounts(msgspec.Struct, frozen=True):
    """How many items a map has, and what has become of them."""

    total: int
    completed: int
    failed: int
    cancelled: int


class MapItem(msgspec.Struct, frozen=True):
    """One item in the output of a map: `result` is its primary value."""

    index: int
    key: str
    status: ItemStatus
    result: msgspec.Raw
    error: NodeError | None


class MapResult(msgspec.Struct, frozen=True):
    """The output of a map. `result`: the primary values in the items' order, null where an item has
    failed."""

    result: list[msgspec.Raw]
    items: list[MapItem]
    counts: MapCounts


class MapOutput(msgspec.Struct, frozen=True):
    """What the output of a map is made of. `primary`: the field of the handler's output that `X.result`
    means. `with_items`: the items stand in it, with their keys and errors."""

    record: MapRecord
    ended: Mapping[int, ItemRecord]
    keys: Sequence[str]
    primary: str | None
    with_items: bool = True


def output_of(output: MapOutput) -> bytes:
    """The output of a map that has ended, as JSON."""
    items = [_item(output, index) for index in range(output.record.total)]
    results, counts = [item.result for item in items], counts_of(output.record)
    if not output.with_items:
        return msgspec.json.encode({"result": results, "counts": counts})
    return msgspec.json.encode(MapResult(results, items, counts))


def counts_of(record: MapRecord) -> MapCounts:
    """The numbers of a map that has ended."""
    cancelled = record.total - record.completed - record.failed
    return MapCounts(record.total, record.completed, record.failed, cancelled)


def _item(output: MapOutput, index: int) -> MapItem:
    found, key = output.ended.get(index), output.keys[index]
    if found is None:
        return MapItem(index, key, "cancelled", _NULL, None)
    return MapItem(index, key, found.status, primary_of(found, output.primary), found.error)


def primary_of(item: ItemRecord, primary: str | None) -> msgspec.Raw:
    """The primary value of an item: the output's own `result`, else its primary field, else all of it."""
    if item.status != "completed":
        return _NULL
    try:
        fields = msgspec.json.decode(item.result, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        return item.result
    if "result" in fields:
        return fields["result"]
    return fields[primary] if primary is not None and primary in fields else item.result
