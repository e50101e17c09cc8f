"""What the end of a child execution means for the node that it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec.structs import replace

from flowengine.execution.error_codes import (
    CHILD_CANCELLED,
    CHILD_FAILED,
    CONCURRENCY_LIMIT,
    EXECUTION_TIMEOUT,
    GROUP_FAILED,
    NESTED_TOO_DEEP,
    OUTPUT_FAILED,
    OUTPUT_INVALID,
    RESULT_TOO_LARGE,
    RESULTS_TOO_LARGE,
    STORE_FULL,
    TIMEOUT,
    TOO_MANY_CHILDREN,
    TOO_MANY_EXECUTIONS,
    UNKNOWN_DEFINITION,
    ErrorCode,
)
from flowengine.execution.messages import Callback, ItemTry
from flowengine.execution.records import COUNTED_RESULT_BYTES, Control, NodeError, NodeRecord
from flowengine.execution.reports import ByChild, Cancelled, Completed, Failed, Outcome
from flowengine.execution.rules.closing import ended_by_of, error_of
from flowengine.execution.rules.deadlines import CUT_BY_MAP, TURN_TOO_LATE
from flowengine.execution.rules.readiness import Records
from flowengine.workflow.plan import Plan
from flowengine.workflow.stages import OUTPUTS_NODE

ENDED: Final = "ended"
UNMADE: Final = frozenset(
    code.code
    for code in (
        UNKNOWN_DEFINITION,
        NESTED_TOO_DEEP,
        TOO_MANY_CHILDREN,
        TOO_MANY_EXECUTIONS,
        STORE_FULL,
        CONCURRENCY_LIMIT,
    )
)
"""Why a node has failed whose execution was never made: the next try has to prepare another one."""
MAX_MESSAGE_CHARS: Final = 2000


def callback_of_item(
    execution: str,
    node: str,
    record: NodeRecord,
    index: int,
    started_at: int | None,
    outcome: Outcome,
    correlation_id: str,
    now: int,
) -> Callback:
    """What ends an item of a map by the end of its child, which began at `started_at`. `record`: the
    map's."""
    ended = callback_of(execution, node, record, outcome, correlation_id, now)
    return replace(ended, by=ByChild(started_at), item=ItemTry(index))


def callback_of(
    execution: str, node: str, record: NodeRecord, outcome: Outcome, correlation_id: str, now: int
) -> Callback:
    """What ends a node by the end of its child. `record`: the node's."""
    return Callback(
        execution=execution,
        run=record.run,
        node=node,
        dispatch=record.dispatch,
        attempt=record.attempt,
        by=ByChild(record.started_at),
        finished_at=now,
        outcome=outcome,
        correlation_id=correlation_id,
    )


def of_unmade() -> Outcome:
    """The outcome of a node that is stopped before its child was made, or began."""
    return Cancelled()


def of_late() -> Outcome:
    """The outcome of an item whose turn had not come when the time of its map was over."""
    return Failed(NodeError(TIMEOUT.code, TURN_TOO_LATE))


def of_cancelled(parent: Control, control: Control, *, until: int = 0) -> Outcome:
    """The outcome of a cancelled child: cancelled with its parent, or alone. `until`: when the time of the
    map was over that it is an item of; 0: it has none, or it is not over."""
    if parent.stop is not None:
        return Cancelled()
    stop = ended_by_of(control)
    if until and stop is not None and stop.at >= until:
        return Failed(NodeError(TIMEOUT.code, CUT_BY_MAP))
    why = f": {stop.reason}" if stop is not None and stop.reason else ""
    return Failed(
        NodeError(CHILD_CANCELLED.code, f"somebody has cancelled its execution{why}"), permanent=True
    )


def of_failed(plan: Plan, control: Control, records: Records) -> Outcome:
    """The outcome of a failed child. `records`: those of its nodes."""
    row = CHILD_FAILED if is_called(plan) else GROUP_FAILED
    stop = ended_by_of(control)
    found = error_of(plan, control.status, stop, records)
    if found is None:
        return _failed(row, "it has failed")
    if found.code == EXECUTION_TIMEOUT.code:
        limit_s = plan.overall.timeout_ms / 1000
        return Failed(NodeError(TIMEOUT.code, f"it did not end within its timeout_seconds ({limit_s:g} s)"))
    invalid = _invalid_outputs(plan, found.node, records)
    if invalid is not None:
        return Failed(invalid)
    if found.code == OUTPUT_FAILED.code:
        return _failed(row, found.message, OUTPUT_FAILED.code)
    error = None if found.node is None else records(found.node).error
    if plan.lineage is not None and plan.lineage.sole and error is not None and stop is None:
        return Failed(error)
    status = msgspec.UNSET if error is None else error.status_code
    if stop is not None and stop.cause == "end":
        return _failed(row, f"'{found.node}' has ended it as failed: {found.message}", ENDED)
    return _failed(row, f"'{found.node}' has failed with {found.code}: {found.message}", found.node, status)


def _invalid_outputs(plan: Plan, failed: str | None, records: Records) -> NodeError | None:
    """What a group fails with whose outputs are not what its schema says: those of an `end`, or its own."""
    name = failed or OUTPUTS_NODE
    position = plan.index.get(name)
    if position is None or plan.policy(position).output_schema is None:
        return None
    if name != OUTPUTS_NODE and not plan.policy(position).gives_outputs:
        return None
    error = records(name).error
    return NodeError(error.code, error.message) if error and error.code == OUTPUT_INVALID.code else None


def is_called(plan: Plan) -> bool:
    """Whether it is the plan of an execution of a definition that a node stands for."""
    return plan.lineage is not None and plan.lineage.is_called


def _failed(
    row: ErrorCode, message: str, cause: str | None = None, status: int | msgspec.UnsetType = msgspec.UNSET
) -> Failed:
    return Failed(NodeError(row.code, _cut(message), caused_by=cause, status_code=status))


def unmade(row: ErrorCode, message: str) -> Outcome:
    """The outcome of a node whose execution cannot be made."""
    return Failed(NodeError(row.code, _cut(message)), permanent=row.permanent)


def _cut(message: str) -> str:
    return message if len(message) <= MAX_MESSAGE_CHARS else f"{message[: MAX_MESSAGE_CHARS - 3]}..."


def last_nodes(plan: Plan) -> list[str]:
    """The nodes whose results a group without `outputs` gives: those that nothing depends on."""
    return [plan.nodes[position].id for position in plan.main if not plan.children[position]]


def of_completed(outputs: Mapping[str, msgspec.Raw] | msgspec.Raw, max_bytes: int) -> Outcome:
    """The outcome of a completed child that gives these; of one node alone, what that gives."""
    result = msgspec.json.encode({"result": outputs})
    if len(result) > max_bytes:
        return too_large(len(result), max_bytes)
    return Completed(msgspec.Raw(result))


def of_iteration(output: bytes | None, max_bytes: int) -> Outcome:
    """The outcome of a completed child that is an iteration of one node alone, which has this output; None:
    an operator has skipped it."""
    result = b'{"result":null}' if output is None else output
    if len(result) > max_bytes:
        return too_large(len(result), max_bytes)
    return Completed(msgspec.Raw(result))


def storable(outcome: Outcome, used: int, max_bytes: int) -> Outcome:
    """The same, if what the child gives has room beside the results that its parent has: `used` bytes."""
    size = len(outcome.result) if isinstance(outcome, Completed) else 0
    if size < COUNTED_RESULT_BYTES or size <= max_bytes - used:
        return outcome
    message = (
        f"its outputs of {size} bytes would take the execution's results over {max_bytes} bytes "
        "(FLOWENGINE_MAX_EXECUTION_RESULT_BYTES): let its `outputs` say less"
    )
    return Failed(NodeError(RESULTS_TOO_LARGE.code, message))


def of_begun(execution: str) -> Outcome:
    """The outcome of a node that has begun an execution which is nobody's child."""
    return Completed(msgspec.Raw(msgspec.json.encode({"result": execution})))


def too_large(size: int, max_bytes: int) -> Outcome:
    """The outcome of one that gives too much."""
    message = (
        f"its outputs are {size} bytes, the limit is {max_bytes} (FLOWENGINE_MAX_RESULT_BYTES): let its "
        "`outputs` say less"
    )
    return Failed(NodeError(RESULT_TOO_LARGE.code, message))
