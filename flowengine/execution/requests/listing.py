"""Which executions a list shows, and what it shows of one. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from flowengine.access.scope import covers
from flowengine.execution.error_codes import CANCELLED, EXECUTION_TIMEOUT, ORIGIN_GONE, OUTPUT_FAILED
from flowengine.execution.limits.lines import shown_key
from flowengine.execution.records import UNTOUCHED, ExecutionError, ExecutionRecord, NodeRecord, Stop
from flowengine.execution.rules.children.opening import is_child
from flowengine.execution.rules.closing import ended_by_of
from flowengine.execution.rules.repeating import wait_kind
from flowengine.execution.status import ExecutionStatus, is_over
from flowengine.execution.views.executions import (
    SummaryCountsView,
    SummaryView,
    SummaryWaitView,
    TriggerView,
    WaitingKind,
    moment,
    moment_or_none,
)
from flowengine.observability.tracing.trace_text import without_trace
from flowengine.workflow.stages import OUTPUTS_NODE, is_hook

MAX_MESSAGE_CHARS: Final = 300
"""Of the message of an error, a list shows so much."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a list is narrowed to: all of it must hold. Empty and None hold of every execution.

    `statuses`: one of them. `labels`: all of them, each with its value. `prefix`: how the id or the name
    begins. `created_after` is the first moment that is wanted, `created_before` the first that is not, both
    in milliseconds. `version`: of their definition. `parent`: the execution of whose nodes they are
    the children; without it, those that are no children. `definitions`: one of these patterns fits the name
    of their definition. `rerun_of`: the execution that they are forks of.
    """

    statuses: tuple[ExecutionStatus, ...] = ()
    name: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    correlation_id: str | None = None
    prefix: str = ""
    created_after: int | None = None
    created_before: int | None = None
    version: int | None = None
    parent: str | None = None
    definitions: tuple[str, ...] = ()
    rerun_of: str | None = None

    def includes(self, execution: str, record: ExecutionRecord) -> bool:
        """Whether an execution is wanted."""
        return (
            (not self.statuses or record.status in self.statuses)
            and self.name in (None, record.name)
            and self.version in (None, record.version)
            and covers(self.definitions, None if record.version is None else record.name)
            and self.correlation_id in (None, without_trace(record.correlation_id))
            and self.rerun_of in (None, None if record.origin is None else record.origin.execution)
            and all(record.labels.get(name) == value for name, value in self.labels)
            and (execution.startswith(self.prefix) or record.name.startswith(self.prefix))
            and (self.created_after is None or record.created_at >= self.created_after)
            and (self.created_before is None or record.created_at < self.created_before)
        )


class Numbers(msgspec.Struct, frozen=True):
    """What is counted of an execution, as far as it is stored.

    `unfinished` and `failed` are of the stage that runs; `main_failed` is the number of main nodes that had
    failed when the hooks began. `first_failed`: the node whose failure was the first that was not tolerated.
    """

    unfinished: int = 0
    failed: int = 0
    main_failed: int = 0
    first_failed: str | None = None


def node_to_blame(record: ExecutionRecord, numbers: Numbers) -> str | None:
    """The node whose record says why an execution has failed; None where no node does."""
    ended_by = ended_by_of(record.control)
    by_itself = ended_by is not None and ended_by.cause in ("timeout", "origin_gone")
    if record.status != "failed" or by_itself:
        return None
    return numbers.first_failed if ended_by is None or ended_by.node is None else ended_by.node


class Wait(msgspec.Struct, frozen=True):
    """A node that waits, in this run, until a time in milliseconds since the epoch: for its next try or
    iteration, or for what else `kind` says."""

    run: int
    node: str
    until: int
    kind: WaitingKind = "retry"


def summary(
    execution: str,
    record: ExecutionRecord,
    numbers: Numbers,
    to_blame: NodeRecord,
    wait: Wait | None = None,
    waiting: NodeRecord = UNTOUCHED,
    patterns: Sequence[str] = (),
) -> SummaryView:
    """What a list shows of an execution. `to_blame`: the record of that node. `wait`: the node that goes on
    first; `waiting`: its record. `patterns`: those of the key of who asks."""
    trigger = trigger_of(execution, record)
    return SummaryView(
        execution_id=execution,
        name=record.name,
        version=record.version,
        status=record.status,
        trigger=None if trigger is None else seen_trigger(trigger, record, patterns),
        waiting_for=_waiting_for(record, wait, waiting),
        run=record.run,
        counts=_counts(record, numbers),
        error=_error(record, node_to_blame(record, numbers), to_blame),
        labels=dict(record.labels),
        correlation_id=record.correlation_id,
        created_at=moment(record.created_at),
        started_at=moment_or_none(record.started_at),
        finished_at=moment_or_none(record.finished_at),
    )


def trigger_of(execution: str, record: ExecutionRecord, parent: str | None = None) -> TriggerView | None:
    """What has started it, without outputs; None: nothing has yet. `parent`: the execution that it is a child
    of, where that is known."""
    at = msgspec.UNSET if record.scheduled_at is None else moment(record.scheduled_at)
    end = record.followed
    if record.origin is not None:
        view = TriggerView(kind="rerun", execution_id=record.origin.execution, scheduled_at=at)
        return view if end is None else replace(view, workflow=end.workflow, status=end.status)
    if not record.run:
        return None
    if record.schedule is not None:
        return TriggerView(kind="schedule", schedule=record.schedule, scheduled_at=at)
    if end is not None:
        return TriggerView(kind="after", execution_id=end.execution, workflow=end.workflow, status=end.status)
    if record.begun_by is not None:
        return TriggerView(kind="workflow", execution_id=record.begun_by)
    if is_child(execution):
        return TriggerView(kind="parent", execution_id=parent or msgspec.UNSET)
    return TriggerView(kind="api")


def seen_trigger(view: TriggerView, record: ExecutionRecord, patterns: Sequence[str]) -> TriggerView:
    """The same, as the holder of a key for these definitions sees it. The document names what it follows;
    which execution that was is not for a key that is for others."""
    if view.kind != "after" or record.followed is None or covers(patterns, record.followed.workflow):
        return view
    return replace(view, execution_id=msgspec.UNSET)


def may_wait(record: ExecutionRecord) -> bool:
    """Whether a node of it may be about to go on by a timer."""
    return record.status == "running" and record.stop is None


def next_wait(record: ExecutionRecord, waits: Sequence[Wait]) -> Wait | None:
    """The first of these nodes, if the execution may wait for it. A timer of another run is stale."""
    return next((wait for wait in waits if wait.run == record.run), None) if may_wait(record) else None


def _waiting_for(record: ExecutionRecord, wait: Wait | None, waiting: NodeRecord) -> SummaryWaitView | None:
    if record.status == "pending" and record.run and record.line is not None:
        return SummaryWaitView(kind="turn", key=shown_key(record.line.line))
    if wait is None:
        return None
    kind = wait_kind(waiting) if wait.kind == "retry" else wait.kind
    return SummaryWaitView(kind=kind, node=wait.node, until=moment(wait.until))


def _counts(record: ExecutionRecord, numbers: Numbers) -> SummaryCountsView:
    """Of the main nodes."""
    if not record.run:
        left = 0 if is_over(record.status) else record.total
        return SummaryCountsView(total=record.total, unfinished=left, failed=0)
    stage = record.stage
    failed = numbers.main_failed if is_hook(stage) else numbers.failed if stage == "main" else 0
    return SummaryCountsView(
        total=record.total, unfinished=numbers.unfinished if stage == "main" else 0, failed=failed
    )


def _error(record: ExecutionRecord, node: str | None, to_blame: NodeRecord) -> ExecutionError | None:
    ended_by = ended_by_of(record.control)
    if record.status == "cancelled":
        return ExecutionError(CANCELLED.code, _reason(ended_by))
    if record.status != "failed":
        return None
    if ended_by is not None and ended_by.cause == "timeout":
        return ExecutionError(EXECUTION_TIMEOUT.code, "it took longer than its timeout_seconds")
    if ended_by is not None and ended_by.cause == "origin_gone":
        return ExecutionError(ORIGIN_GONE.code, _cut(ended_by.reason or ORIGIN_GONE.meaning))
    error = to_blame.error
    if node is None or error is None:
        return None
    message = _cut(error.message)
    if node == OUTPUTS_NODE:
        return ExecutionError(OUTPUT_FAILED.code, f"the outputs cannot be computed: {message}")
    return ExecutionError(error.code, message, node)


def _reason(stop: Stop | None) -> str:
    return _cut((stop.reason if stop is not None else None) or "a caller has cancelled it")


def _cut(message: str) -> str:
    return message if len(message) <= MAX_MESSAGE_CHARS else message[: MAX_MESSAGE_CHARS - 3] + "..."
