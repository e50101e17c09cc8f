"""What a map gives, and what is shown of its items. Pure data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeAlias, get_args

import msgspec

from flowengine.execution.records import ItemRecord, MapRecord, NodeError, NodeRecord
from flowengine.execution.status import is_final, is_open
from flowengine.execution.times import Moment, moment_or_none
from flowengine.execution.views.waits import WaitingForView

ItemStatus: TypeAlias = Literal["pending", "running", "waiting", "completed", "failed", "cancelled"]
"""`running`: its task has been sent; `waiting`: for its next try, or for what its node waits for. What an
ended map has not come to was cancelled."""
ITEM_STATUSES: Final[tuple[ItemStatus, ...]] = get_args(ItemStatus)

_NULL: Final = msgspec.Raw(b"null")


class MapCounts(msgspec.Struct, frozen=True):
    """How many items a map has, and what has become of them."""

    total: int
    completed: int
    failed: int
    cancelled: int


class MapView(msgspec.Struct, frozen=True, kw_only=True):
    """The items of a map: how many there are, and how many are in each status. Of those that `run`, some may
    wait for a worker, or for their next try."""

    total: int
    pending: int
    running: int
    completed: int
    failed: int
    cancelled: int


class ItemView(msgspec.Struct, frozen=True, kw_only=True):
    """One item of a map. `tries`: how often it was tried in the run in which it ended. `result`: the output
    of its handler; null where it has none, and where it is over 64 KiB: then `result_truncated` is true.
    `child`: of a map of a group, the execution that the item runs as, or ran as. `waiting_for`: what an item
    waits for that runs as an execution of its node alone."""

    index: int
    key: str
    status: ItemStatus
    tries: int
    started_at: Moment | None
    finished_at: Moment | None
    error: NodeError | None
    result: msgspec.Raw
    result_truncated: bool | msgspec.UnsetType = msgspec.UNSET
    child: str | msgspec.UnsetType = msgspec.UNSET
    waiting_for: WaitingForView | msgspec.UnsetType = msgspec.UNSET


class ItemPage(msgspec.Struct, frozen=True, kw_only=True):
    """Items in their order. `next_cursor` leads to the next page; null: there are no more. A page may hold
    fewer than were asked for, or none, and have a next one: so many are looked at, no more."""

    items: tuple[ItemView, ...]
    next_cursor: str | None


class StoredItemState(msgspec.Struct, frozen=True):
    """What is stored of one item: how it has ended, or how it stands between its tries; whether its task has
    been sent in this run. `truncated`: its result was too large to be read. `left_out`: this run does not
    run it. `child`: the execution that it runs as, or ran as."""

    key: str
    ended: ItemRecord | None
    tried: NodeRecord | None
    sent: bool
    truncated: bool = False
    left_out: bool = False
    child: str | None = None


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


def map_view(record: NodeRecord, sent: int, ended: int, failures: int) -> MapView | msgspec.UnsetType:
    """The numbers of a map that is shown. Of one that has ended they are in its record."""
    known = record.map
    if known is None or not (is_open(record.status) or is_final(record.status)):
        return msgspec.UNSET
    if is_open(record.status):
        running = max(0, sent - max(0, ended - known.kept))
        failed = min(failures, ended)
        pending = max(0, known.total - known.out - ended - running)
        return MapView(
            total=known.total,
            pending=pending,
            running=running,
            completed=ended - failed,
            failed=failed,
            cancelled=known.out,
        )
    # A stop, or an operator, has ended it before its items: what has become of these is stored.
    by_itself = known.completed or known.failed or not ended
    completed, failed = (known.completed, known.failed) if by_itself else (ended - failures, failures)
    return MapView(
        total=known.total,
        pending=0,
        running=0,
        completed=completed,
        failed=failed,
        cancelled=known.total - completed - failed,
    )


def item_view(index: int, stored: StoredItemState, *, is_over: bool) -> ItemView:
    """One item as it is shown. `is_over`: its map has ended."""
    record, tried = stored.ended, stored.tried
    if record is not None:
        return ItemView(
            index=index,
            key=stored.key,
            status=record.status,
            tries=record.tries,
            started_at=moment_or_none(record.started_at),
            finished_at=moment_or_none(record.finished_at),
            error=record.error,
            result=record.result,
            result_truncated=stored.truncated or msgspec.UNSET,
            child=stored.child or msgspec.UNSET,
        )
    status: ItemStatus = "running" if stored.sent else "pending"
    if is_over or stored.left_out:
        status = "cancelled"
    elif tried is not None and tried.status == "waiting":
        status = "waiting"
    return ItemView(
        index=index,
        key=stored.key,
        status=status,
        tries=0 if tried is None else tried.dispatch,
        started_at=None,
        finished_at=None,
        error=None if tried is None else tried.error,
        result=_NULL,
        child=stored.child or msgspec.UNSET,
    )


def without_result(item: ItemView) -> ItemView:
    """The same item for a list that shows no results."""
    return msgspec.structs.replace(item, result=_NULL, result_truncated=msgspec.UNSET)


def _item(output: MapOutput, index: int) -> MapItem:
    found, key = output.ended.get(index), output.keys[index] if output.with_items else ""
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
