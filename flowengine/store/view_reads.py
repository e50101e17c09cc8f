"""Stored state as the views of the API. Reads everything of an execution in one round trip."""

from __future__ import annotations

from collections import Counter

import msgspec

from flowengine.execution.records import NodeError, NodeRecord, NodeStatus
from flowengine.execution.views import CountsView, ExecutionView, NodeView, ResultsView, timestamp
from flowengine.store import keys, meta
from flowengine.store.codec import decode_record
from flowengine.store.state import RedisState
from flowengine.workflow.plan import Plan, PlanNode


def execution_view(state: RedisState, execution: str, record: meta.Meta, plan: Plan) -> ExecutionView:
    """The execution with every node, in the document's order."""
    replies = state.sessions.retrying_read(
        [
            ("HGETALL", keys.started(execution)),
            *(("HGET", keys.node(execution, node.id), keys.STATE) for node in plan.nodes),
        ]
    )
    begun = _pairs(replies[0])
    nodes = tuple(
        _node_view(plan, node, decode_record(reply), begun)
        for node, reply in zip(plan.nodes, replies[1:], strict=True)
    )
    created = timestamp(record.created_at)
    assert created is not None
    return ExecutionView(
        execution_id=execution,
        name=record.name,
        status=record.status,
        run=record.run,
        created_at=created,
        started_at=timestamp(record.started_at or None),
        finished_at=timestamp(record.finished_at or None),
        correlation_id=record.correlation_id,
        counts=_counts(nodes),
        nodes=nodes,
    )


def results_view(state: RedisState, execution: str, record: meta.Meta, plan: Plan) -> ResultsView:
    """The outputs and errors of all nodes that have ended."""
    replies = state.sessions.retrying_read(
        [("HMGET", keys.node(execution, node.id), keys.STATE, keys.RESULT) for node in plan.nodes]
    )
    results: dict[str, msgspec.Raw] = {}
    errors: dict[str, NodeError] = {}
    for node, (stored, result) in zip(plan.nodes, replies, strict=True):
        ended = decode_record(stored)
        if ended.status == "completed" and result is not None:
            results[node.id] = msgspec.Raw(result)
        elif ended.status == "failed" and ended.error is not None:
            errors[node.id] = ended.error
    return ResultsView(execution_id=execution, status=record.status, results=results, errors=errors)


def _pairs(reply: list[bytes] | dict[bytes, bytes]) -> dict[str, int]:
    """The start time of each attempt that has begun, by its field name."""
    items = reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=True)
    return {field.decode(): int(value.split(b":")[1]) for field, value in items}


def _node_view(plan: Plan, node: PlanNode, record: NodeRecord, begun: dict[str, int]) -> NodeView:
    status: NodeStatus = record.status
    started = record.started_at
    if record.status == "queued":
        started = begun.get(keys.start_field(node.id, record.attempt))
        status = "queued" if started is None else "running"
        # By a worker's idea of the server's clock, which may be some milliseconds off.
        started = started and max(started, record.queued_at or 0)
    return NodeView(
        id=node.id,
        handler=node.handler,
        status=status,
        attempt=record.attempt,
        dependencies=tuple(plan.nodes[parent].id for parent in node.parents),
        queued_at=timestamp(record.queued_at),
        started_at=timestamp(started),
        finished_at=timestamp(record.finished_at),
        error=record.error,
    )


def _counts(nodes: tuple[NodeView, ...]) -> CountsView:
    counted = Counter(node.status for node in nodes)
    return CountsView(
        total=len(nodes),
        pending=counted["pending"],
        queued=counted["queued"],
        running=counted["running"],
        completed=counted["completed"],
        failed=counted["failed"],
    )
