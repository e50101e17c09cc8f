"""What an execution looks like to those who ask: the views of the API, made of what is stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from flowengine.engine.ports import NodeState, QueryStore
from flowengine.errors import ExecutionNotFoundError
from flowengine.execution.records import ExecutionError, ExecutionRecord, NodeError
from flowengine.execution.rules.concluding import error_of
from flowengine.execution.status import NodeStatus, counts_as_success, is_final, is_in_flight
from flowengine.execution.views import (
    ExecutionView,
    NodeView,
    ResultsView,
    WaitingForView,
    counts_of,
    moment,
    moment_or_none,
)
from flowengine.execution.work import handler_of
from flowengine.workflow.inputs.declared import MASK, secret_names
from flowengine.workflow.plan import Plan, PlanNode

_HIDDEN: Final = msgspec.Raw(msgspec.json.encode(MASK))


def status(store: QueryStore, execution: str) -> ExecutionView:
    """The execution with every node, in the document's order. Raises ExecutionNotFoundError."""
    record, plan = _known(store, execution)
    states, inputs = store.node_states(execution, [node.id for node in plan.nodes])
    nodes = tuple(
        _node_view(record, plan, node, state) for node, state in zip(plan.nodes, states, strict=True)
    )
    return ExecutionView(
        execution_id=execution,
        name=record.name,
        status=record.status,
        run=record.run,
        created_at=moment(record.created_at),
        started_at=moment_or_none(record.started_at),
        finished_at=moment_or_none(record.finished_at),
        correlation_id=record.correlation_id,
        counts=counts_of(node.status for node in nodes),
        nodes=nodes,
        inputs=msgspec.UNSET if inputs is None else _shown_inputs(plan, inputs),
        error=_error(plan, record, states),
    )


def results(store: QueryStore, execution: str) -> ResultsView:
    """Outputs of the completed nodes, errors of the failed. Raises ExecutionNotFoundError."""
    record, plan = _known(store, execution)
    outputs: dict[str, msgspec.Raw] = {}
    errors: dict[str, NodeError] = {}
    stored = store.node_results(execution, [node.id for node in plan.nodes])
    for node, (ended, result) in zip(plan.nodes, stored, strict=True):
        if counts_as_success(ended.status) and result is not None:
            outputs[node.id] = msgspec.Raw(result)
        elif ended.status == "failed" and ended.error is not None:
            errors[node.id] = ended.error
    return ResultsView(execution_id=execution, status=record.status, results=outputs, errors=errors)


def _error(
    plan: Plan, execution: ExecutionRecord, states: Sequence[NodeState]
) -> ExecutionError | msgspec.UnsetType:
    found = error_of(plan, execution, lambda name: states[plan.index[name]].record)
    return msgspec.UNSET if found is None else found


def _shown_inputs(plan: Plan, stored: bytes) -> dict[str, msgspec.Raw]:
    """The inputs as JSON, secret ones hidden."""
    secret = secret_names(plan.inputs)
    found = msgspec.json.decode(stored, type=dict[str, msgspec.Raw])
    return {name: _HIDDEN if name in secret else value for name, value in found.items()}


def _known(store: QueryStore, execution: str) -> tuple[ExecutionRecord, Plan]:
    record = store.read_execution(execution)
    plan = None if record is None else store.plan(execution)
    if record is None or plan is None:
        raise ExecutionNotFoundError.of(execution)
    return record, plan


def _node_view(execution: ExecutionRecord, plan: Plan, node: PlanNode, state: NodeState) -> NodeView:
    record = state.record
    shown: NodeStatus = record.status
    if execution.status == "cancelled" and not is_final(record.status):
        shown = "cancelled"  # the execution was never triggered
    started = record.started_at
    if is_in_flight(record.status) and state.begun_at is not None:
        shown = "running"
        # By a worker's idea of the server's clock, which may be some milliseconds off.
        started = max(state.begun_at, record.queued_at or 0)
    return NodeView(
        id=node.id,
        handler=handler_of(node),
        status=shown,
        attempt=record.attempt,
        dependencies=tuple(plan.nodes[parent].id for parent in node.parents),
        queued_at=moment_or_none(record.queued_at),
        started_at=moment_or_none(started),
        finished_at=moment_or_none(record.finished_at),
        error=record.error,
        skipped=record.skipped or msgspec.UNSET,
        tolerated=record.tolerated or msgspec.UNSET,
        waiting_for=WaitingForView(kind="retry", until=moment_or_none(record.until))
        if record.status == "waiting"
        else msgspec.UNSET,
    )
