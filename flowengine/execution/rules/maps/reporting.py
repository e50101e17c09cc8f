"""What the report of one item changes. Nothing that it WATCHes holds several items: the first end counts."""

from __future__ import annotations

from typing import Final, assert_never

import msgspec
from msgspec.structs import replace

from flowengine.execution.changes import Change, EndItem, ForgetStart, Tally
from flowengine.execution.messages import Callback, ItemTry
from flowengine.execution.records import Control, ItemRecord, NodeError, NodeRecord
from flowengine.execution.reports import (
    Cancelled,
    Completed,
    Expanded,
    Failed,
    ItemsEnded,
    Skipped,
    delivery_of,
    may_be_noted,
    started_at_of,
)
from flowengine.execution.rules.failing import is_answered
from flowengine.execution.rules.finishing import COUNTED_RESULT_BYTES, Verdict
from flowengine.execution.status import is_open, takes_reports

_NO_RESULT: Final = msgspec.Raw(b"null")
MOST_MESSAGE_CHARS: Final = 500
"""So much of an item's error is kept: there may be ten thousand."""


class ItemDecision(msgspec.Struct, frozen=True):
    """What one report of an item means. `again`: it is to be sent again, because the mark is gone for which
    its worker has stopped it."""

    verdict: Verdict
    changes: tuple[Change, ...] = ()
    again: bool = False


def awaits_items(record: NodeRecord, dispatch: int) -> bool:
    """Whether the items of this dispatch run, or are to."""
    return is_open(record.status) and record.dispatch == dispatch


def end_item(
    record: NodeRecord, control: Control, callback: Callback, item: ItemTry, now: int, *, ended: bool
) -> ItemDecision:
    """What a report changes. `ended`: an end of this item is stored."""
    forget = forget_item(callback)
    if not awaits_items(record, callback.dispatch) or not takes_reports(control.status):
        return ItemDecision("stale", forget)
    if ended:
        return ItemDecision("repeated", forget)
    match callback.outcome:
        case Completed(result=result):
            counted = len(result) if len(result) >= COUNTED_RESULT_BYTES else 0
            end = EndItem(
                callback.node, item.index, _ended(record, callback, item, now, None, result), counted
            )
            tally = (Tally(bytes=counted),) if counted else ()
            return ItemDecision("accepted", (end, *forget, *tally))
        case Failed(error=error):
            end = EndItem(callback.node, item.index, _ended(record, callback, item, now, error, _NO_RESULT))
            return ItemDecision("accepted", (end, *forget))
        case Cancelled():
            return ItemDecision("accepted", forget, again=control.stop is None)
        case Skipped() | Expanded() | ItemsEnded():
            return ItemDecision("stale", forget)
        case _ as never:
            assert_never(never)


def forget_item(callback: Callback) -> tuple[Change, ...]:
    """Remove what the reporter wrote when it began, if it wrote something."""
    if not may_be_noted(callback.by):
        return ()
    return (ForgetStart(callback.node, callback.run, callback.dispatch, callback.item),)


def _ended(
    record: NodeRecord,
    callback: Callback,
    item: ItemTry,
    now: int,
    error: NodeError | None,
    result: msgspec.Raw,
) -> ItemRecord:
    # A worker's idea of the server's clock may be some milliseconds off.
    reported = started_at_of(callback.by)
    started = None if reported is None else min(max(reported, record.queued_at or 0), now)
    return ItemRecord(
        status="completed" if error is None else "failed",
        started_at=started,
        finished_at=min(max(callback.finished_at, started or 0), now),
        tries=item.number,
        delivery=delivery_of(callback.by),
        answered=0 if error is None or not is_answered(error) else 1,
        error=None if error is None else replace(error, message=error.message[:MOST_MESSAGE_CHARS]),
        result=result,
    )
