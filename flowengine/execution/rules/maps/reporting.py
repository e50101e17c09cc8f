"""What the report of one item changes. Nothing that it WATCHes holds several items: the first end counts."""

from __future__ import annotations

from typing import Final, assert_never

import msgspec
from msgspec.structs import replace

from flowengine.execution.changes import ArmTimer, Change, EndItem, ForgetStart, Tally, WriteTry
from flowengine.execution.error_codes import HANDLER_ERROR
from flowengine.execution.messages import Callback, ItemTry, NextTry
from flowengine.execution.records import Control, ItemRecord, NodeError, NodeRecord, counted_bytes
from flowengine.execution.reports import (
    Again,
    ByChild,
    Cancelled,
    Child,
    Completed,
    Expanded,
    Failed,
    ItemsEnded,
    KeysMade,
    Skipped,
    Waiting,
    delivery_of,
    may_be_noted,
    started_at_of,
)
from flowengine.execution.rules.decision import Verdict
from flowengine.execution.rules.failing import Pause, is_answered, next_try
from flowengine.execution.status import is_open, takes_reports
from flowengine.workflow.policy import Policy

_CANNOT_WAIT: Final = NodeError(
    HANDLER_ERROR.code, "an item of a map cannot wait: its handler must return, or fail and be tried again"
)
_NO_RESULT: Final = msgspec.Raw(b"null")
MOST_MESSAGE_CHARS: Final = 500
"""So much of an item's error is kept: there may be ten thousand."""
KEPT_MS: Final = 7 * 86_400_000
"""How long it is kept how an item stands between its tries, after the pause and after the try is sent. It
goes when the item ends; of a map that was stopped meanwhile nobody else removes it."""


class ItemDecision(msgspec.Struct, frozen=True):
    """What one report of an item means. `again`: it is to be sent again, because the mark is gone for which
    its worker has stopped it. `waits`: it has not ended, and is tried again later."""

    verdict: Verdict
    changes: tuple[Change, ...] = ()
    again: bool = False
    waits: bool = False


def awaits_items(record: NodeRecord, dispatch: int) -> bool:
    """Whether the items of this dispatch run, or are to."""
    return is_open(record.status) and record.dispatch == dispatch


class Known(msgspec.Struct, frozen=True):
    """What is known of an item when a report of it comes: whether an end of it is stored, and how it stood
    after the try before, if it has been tried before in this run."""

    ended: bool
    before: NodeRecord | None = None


def end_item(
    policy: Policy, record: NodeRecord, control: Control, callback: Callback, known: Known, now: int
) -> ItemDecision:
    """What a report of an item changes."""
    item, forget = callback.item, forget_item(callback)
    assert item is not None, "it is the report of an item"
    if not awaits_items(record, callback.dispatch) or not takes_reports(control.status):
        return ItemDecision("stale", forget)
    if known.ended:
        return ItemDecision("repeated", forget)
    before = known.before if known.before is not None and known.before.run == record.run else None
    if before is not None and (before.dispatch != item.number or before.status == "waiting"):
        return ItemDecision("repeated" if before.dispatch == item.number else "stale", forget)
    report = _Report(record, callback, item, before, now)
    match callback.outcome:
        case Completed(result=result):
            counted = counted_bytes(len(result))
            tally = (Tally(bytes=counted),) if counted else ()
            return ItemDecision("accepted", (_end(report, None, result, counted), *forget, *tally))
        case Failed() as failed:
            again = _next_try(policy, report, failed) if control.lets_decide else None
            if isinstance(again, Pause):
                return ItemDecision("accepted", (*_waits(report, failed, again), *forget), waits=True)
            error = failed.error if again is None else again
            return ItemDecision("accepted", (_end(report, error, _NO_RESULT), *forget))
        case Cancelled():
            # A child is looked after by its own messages.
            by_worker = not isinstance(callback.by, ByChild)
            return ItemDecision("accepted", forget, again=control.stop is None and by_worker)
        case Waiting():
            return ItemDecision("accepted", (_end(report, _CANNOT_WAIT, _NO_RESULT), *forget))
        case Skipped() | Expanded() | ItemsEnded() | Again() | Child() | KeysMade():
            return ItemDecision("stale", forget)
        case _ as never:
            assert_never(never)


class _Report(msgspec.Struct, frozen=True):
    """A report of an item that counts: the record of its map, and how the item stood after the try before."""

    record: NodeRecord
    callback: Callback
    item: ItemTry
    before: NodeRecord | None
    now: int


def _next_try(policy: Policy, report: _Report, failed: Failed) -> Pause | NodeError | None:
    if policy.retry is None:
        return None
    tries = NodeRecord(tried=report.item.number, since=_since(report))
    # Each item has a jitter of its own.
    own = replace(report.callback, node=f"{report.callback.node}#{report.item.index}.{report.item.number}")
    found = next_try(policy, tries, own, failed, report.now)
    said = report.record.map
    if isinstance(found, Pause) and said is not None and said.is_over(found.until):
        text = f"{failed.error.message}; map.max_seconds ({said.max_ms / 1000:g} s) leaves no time for a try"
        return replace(failed.error, message=text)
    return found


def _since(report: _Report) -> int:
    """When the first try of the item began in this run."""
    if report.before is not None:
        return report.before.since
    return started_at_of(report.callback.by) or report.now


def _waits(report: _Report, failed: Failed, pause: Pause) -> tuple[Change, ...]:
    """The item waits for its next try, and keeps its place among those that run at a time."""
    callback, item = report.callback, report.item
    answered = is_answered(failed.error)
    waiting = NodeRecord(
        status="waiting",
        attempt=item.number,
        dispatch=item.number,
        run=report.record.run,
        error=replace(failed.error, message=failed.error.message[:MOST_MESSAGE_CHARS]),
        since=_since(report),
        until=pause.until,
        answered=item.answered + answered,
        moment=None if answered else item.moment,
    )
    return (
        WriteTry(callback.node, item.index, waiting, pause.until + KEPT_MS),
        ArmTimer(next_try_of_item(callback.execution, callback.node, report.record, item), pause.until),
    )


def next_try_of_item(execution: str, node: str, record: NodeRecord, item: ItemTry) -> NextTry:
    """The timer of an item that waits for the try after this one."""
    return NextTry(execution=execution, run=record.run, node=node, dispatch=record.dispatch, item=item)


def awaits_next_try(record: NodeRecord, before: NodeRecord | None, timer: NextTry) -> bool:
    """Whether an item still waits for the try after the one that its timer names."""
    if timer.item is None or before is None or not awaits_items(record, timer.dispatch):
        return False
    same = before.run == record.run and before.dispatch == timer.item.number
    return same and before.status == "waiting"


def try_item_again(node: str, index: int, before: NodeRecord, now: int) -> tuple[WriteTry, ItemTry]:
    """How an item stands whose next try is sent now, and that try."""
    moment = now if before.moment is None else before.moment
    number = before.dispatch + 1
    queued = NodeRecord(
        status="queued",
        attempt=number,
        dispatch=number,
        queued_at=now,
        run=before.run,
        since=before.since,
        answered=before.answered,
        moment=moment,
    )
    return WriteTry(node, index, queued, now + KEPT_MS), ItemTry(index, number, before.answered, moment)


def forget_item(callback: Callback) -> tuple[Change, ...]:
    """Remove what the reporter wrote when it began, if it wrote something."""
    if not may_be_noted(callback.by) and not isinstance(callback.by, ByChild):
        return ()
    return (ForgetStart(callback.node, callback.run, callback.dispatch, callback.item),)


def _end(report: _Report, error: NodeError | None, result: msgspec.Raw, counted: int = 0) -> EndItem:
    callback, item, now = report.callback, report.item, report.now
    # A worker's idea of the server's clock may be some milliseconds off.
    reported = started_at_of(callback.by)
    started = None if reported is None else min(max(reported, report.record.queued_at or 0), now)
    record = ItemRecord(
        status="completed" if error is None else "failed",
        started_at=started,
        finished_at=min(max(callback.finished_at, started or 0), now),
        tries=item.number,
        delivery=delivery_of(callback.by),
        answered=item.answered + int(error is not None and is_answered(error)),
        error=None if error is None else replace(error, message=error.message[:MOST_MESSAGE_CHARS]),
        result=result,
    )
    return EndItem(callback.node, item.index, record, counted, tried=report.before is not None)
