"""How a map ends: by its items' own records, and why it has failed, if it has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from flowengine.execution.error_codes import MAP_FAILED, TIMEOUT
from flowengine.execution.messages import Callback
from flowengine.execution.records import ItemRecord, MapRecord, NodeError, NodeRecord
from flowengine.execution.reports import ByEngine, ItemsEnded
from flowengine.execution.rules.dispatching import Run
from flowengine.execution.rules.maps.progress import Far

NAMED: Final = 5
"""So many of the failed items does an error name."""
QUOTED_CHARS: Final = 300
CLOCKS_APART_MS: Final = 50
"""A worker's idea of the server's clock may be off by that much."""


class Failure(msgspec.Struct, frozen=True):
    """An item that has failed: its key, and why."""

    key: str
    error: NodeError


def failed_items(ended: Mapping[int, ItemRecord]) -> tuple[int, ...]:
    """Those of these items that have failed, in the items' order.

    A report that came too late may have noted an item as failed that had completed before.
    """
    return tuple(sorted([index for index, record in ended.items() if record.status == "failed"]))


def has_cut(map_record: MapRecord, failures: Mapping[int, ItemRecord]) -> bool:
    """Whether one of these items has failed because the time of the map was over.

    By when it has: its error is the same as that of an item that has used up its own time.
    """
    return bool(map_record.until) and any(
        record.error is not None
        and record.error.code == TIMEOUT.code
        and record.finished_at >= map_record.until - CLOCKS_APART_MS
        for record in failures.values()
    )


def items_ended(
    map_record: MapRecord, far: Far, failures: Sequence[Failure], now: int, *, cut: bool = False
) -> ItemsEnded:
    """What the engine reports of a map that has ended. `failures`: the first ones, in the items' order.
    `cut`: items have failed because its time was over. So many as may fail, these may not.

    An item that has not run, and does not in this run, counts as one that has failed.
    """
    completed = map_record.kept + far.ended - far.failed
    all_ended = far.ended >= map_record.to_run
    if far.failed + map_record.out <= map_record.tolerated and all_ended and not cut:
        return ItemsEnded(completed, far.failed)
    error = _error(map_record, far, failures)
    # A look that comes late finds the time over where all items have ended within it.
    if map_record.is_over(now) and not (all_ended and not cut):
        error = replace(error, code=TIMEOUT.code, message=_over(map_record, completed, error))
    return ItemsEnded(completed, far.failed, error)


def _over(map_record: MapRecord, completed: int, error: NodeError) -> str:
    limit_s = map_record.max_ms / 1000
    text = f"map.max_seconds ({limit_s:g} s) is over: {completed} of {map_record.total} items have completed"
    return text if error.caused_by is None else f"{text}; {error.message}"


def callback_of(run: Run, node: str, record: NodeRecord, ended: ItemsEnded, now: int) -> Callback:
    """The same as a report of the node."""
    return Callback(
        execution=run.execution,
        run=record.run,
        node=node,
        dispatch=record.dispatch,
        attempt=record.attempt,
        by=ByEngine(0),
        finished_at=now,
        outcome=ended,
        correlation_id=run.correlation_id,
    )


def _error(map_record: MapRecord, far: Far, failures: Sequence[Failure]) -> NodeError:
    named = ", ".join(f"'{failure.key}'" for failure in failures[:NAMED])
    more = ", ..." if far.failed > len(failures[:NAMED]) else ""
    allowed = f", {map_record.tolerated} may" if map_record.tolerated else ""
    text = f"{far.failed} of {map_record.total} items failed{allowed}: {named}{more}"
    if not failures and map_record.out:
        text = f"{map_record.out} of {map_record.total} items did not run{allowed}"
        return NodeError(MAP_FAILED.code, text)
    if not failures:
        return NodeError(MAP_FAILED.code, text)
    if map_record.out:
        text = f"{text}; {map_record.out} did not run"
    first = failures[0]
    quoted = first.error.message[:QUOTED_CHARS]
    return NodeError(
        MAP_FAILED.code,
        f"{text}; '{first.key}' with {first.error.code}: {quoted}",
        caused_by=first.key,
        status_code=first.error.status_code,
    )
