"""When a node's time is over, and what is reported in place of a worker that cannot report."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from flowengine.execution.error_codes import TIMEOUT, UNKNOWN_HANDLER, WORKER_LOST
from flowengine.execution.messages import Callback, Deadline, Item, ItemTry, RunNode
from flowengine.execution.records import NodeError, NodeRecord
from flowengine.execution.reports import ByDeadline, ByEngine, Failed
from flowengine.execution.status import is_in_flight, is_open

TaskState: TypeAlias = Literal["held", "lost", "waiting", "settled"]
"""What has become of a task whose start was noted: a process holds it; its process is gone and none is
there to take it over; it waits to be delivered again, or has been; it is settled, its outcome on its way."""

BACKSTOP_MARGIN_MS: Final = 5000

TURN_TOO_LATE: Final = "the map's max_seconds were over before its turn came"
CUT_BY_MAP: Final = "the map's max_seconds were over before it had ended"


def backstop_due(started_at: int, timeout_ms: int, lease_ms: int) -> int:
    """When the deadline timer of a delivery fires: after the worker had every chance to say so itself."""
    return started_at + timeout_ms + lease_ms + BACKSTOP_MARGIN_MS


def is_awaited(record: NodeRecord, dispatch: int, item: ItemTry | Item | None = None) -> bool:
    """Whether this dispatch is in flight, and nothing has come of it yet; of an item, whether its map is
    open."""
    if item is not None:
        return is_open(record.status) and record.dispatch == dispatch
    return is_in_flight(record.status) and record.dispatch == dispatch


def is_overdue(due: int, now: int, state: TaskState) -> bool:
    """Whether a dispatch in flight fails by its deadline timer.

    It fails only while the worker that began it still has it, or while no worker could take it over.
    Waiting in a queue does not count, and an outcome that is on its way was in time.
    """
    return due <= now and state in ("held", "lost")


def timed_out(
    timer: Deadline,
    *,
    attempt: int,
    timeout_ms: int,
    began: int | None,
    now: int,
    correlation_id: str,
    until: int = 0,
) -> Callback:
    """What a deadline's timer reports. `until`: when the time of the map is over that it is an item of."""
    limit = f"no answer within timeout_seconds ({timeout_ms / 1000:g} s)"
    if until and until < (began or 0) + timeout_ms:
        limit = CUT_BY_MAP
    text = f"{limit}; its worker hangs or is gone"
    return Callback(
        execution=timer.execution,
        run=timer.run,
        node=timer.node,
        dispatch=timer.dispatch,
        attempt=attempt,
        by=ByDeadline(began),
        finished_at=now,
        outcome=Failed(NodeError(TIMEOUT.code, text)),
        correlation_id=correlation_id,
        item=timer.item,
    )


def worker_lost(task: RunNode, starts: int, now: int) -> Callback:
    """What is reported of a task that has killed its workers too often."""
    message = f"its worker died each of the {starts} times that it was started"
    return _ended_by_engine(task, starts, NodeError(WORKER_LOST.code, message, attempts=starts), now)


def unknown_handler(task: RunNode, unknown_ms: int, now: int) -> Callback:
    """What is reported of a task whose handler no worker has known for so long."""
    message = (
        f"no worker has known the handler '{task.handler}' for {unknown_ms / 1000:.0f} s: start one with the "
        "module that has it (FLOWENGINE_HANDLERS), then trigger the execution again"
    )
    return _ended_by_engine(task, 0, NodeError(UNKNOWN_HANDLER.code, message), now)


def _ended_by_engine(task: RunNode, starts: int, error: NodeError, now: int) -> Callback:
    return Callback(
        execution=task.execution,
        run=task.run,
        node=task.node,
        dispatch=task.dispatch,
        attempt=task.attempt,
        by=ByEngine(starts),
        finished_at=now,
        outcome=Failed(error),
        correlation_id=task.correlation_id,
        item=task.item_try,
    )
