"""What an execution looks like to those who ask: the views of the API, made of what is stored."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from flowengine.access.scope import covers
from flowengine.engine.drawn_graphs import DrawnGraph, DrawnGraphs
from flowengine.engine.limits.shown_places import with_places
from flowengine.engine.ports import NodeState, QueryStore, ResultsStore
from flowengine.errors import DocumentNotFoundError, ExecutionNotFoundError
from flowengine.execution.delivery.views import DeliveriesView, deliveries_view
from flowengine.execution.limits.lines import Member, shown_key
from flowengine.execution.records import ExecutionError, ExecutionRecord, NodeError, NodeRecord
from flowengine.execution.requests.listing import seen_trigger, trigger_of
from flowengine.execution.rules.children.opening import is_child
from flowengine.execution.rules.closing import ended_by_of, error_of, source_of_outputs
from flowengine.execution.rules.readiness import records_of
from flowengine.execution.rules.repeating import wait_kind
from flowengine.execution.status import (
    NodeStatus,
    SkipReason,
    counts_as_success,
    is_final,
    is_in_flight,
    is_open,
    is_over,
    shown,
)
from flowengine.execution.views.executions import (
    CancelView,
    ChildrenView,
    ExecutionView,
    FollowerView,
    NodeResultsView,
    NodeView,
    ParentView,
    RerunOfView,
    ResultsView,
    TriggerView,
    TurnView,
    WaitingForView,
    counts_of,
    moment,
    moment_or_none,
)
from flowengine.execution.views.maps import map_view
from flowengine.execution.views.node_kinds import kind_of
from flowengine.execution.work import handler_of, primary_of
from flowengine.observability.tracing.trace_text import without_trace
from flowengine.workflow.inputs.declared import MASK, secret_names
from flowengine.workflow.plan import Plan, PlanNode
from flowengine.workflow.posting.posted_document import PostedDocument, unpack
from flowengine.workflow.stages import HOOKS

_decode_outputs: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_HIDDEN: Final = msgspec.Raw(msgspec.json.encode(MASK))


def status(
    store: QueryStore,
    execution: str,
    patterns: Sequence[str] = (),
    only: Collection[NodeStatus] | None = None,
) -> ExecutionView:
    """The execution with its nodes, in the document's order. `patterns`: those of the key of who asks.
    `only`: nodes in these statuses, hooks too; None: all. `counts` are of all.

    Raises ExecutionNotFoundError.
    """
    record, plan = known(store, execution)
    states, inputs = store.node_states(execution, [node.id for node in plan.nodes])
    views = [node_view(record, plan, node, state) for node, state in zip(plan.nodes, states, strict=True)]
    if plan.nests:
        views = [with_wait(store, plan, position, view) for position, view in enumerate(views)]
    nodes = tuple(views[: len(plan.main)])
    hooks = [position for stage in HOOKS for position in plan.positions(stage)]
    shown_hooks = _those([views[hook] for hook in hooks], only)
    shown_nodes = _those(nodes, only)
    records = {node.id: state.record for node, state in zip(plan.nodes, states, strict=True)}
    placed = with_places(store, execution, (*shown_nodes, *shown_hooks), records)
    outputs = outputs_of(store, execution, plan, record) if is_over(record.status) else None
    return ExecutionView(
        execution_id=execution,
        name=record.name,
        status=record.status,
        run=record.run,
        created_at=moment(record.created_at),
        started_at=moment_or_none(record.started_at),
        finished_at=moment_or_none(record.finished_at),
        correlation_id=without_trace(record.correlation_id),
        labels=dict(record.labels),
        counts=counts_of(node.status for node in nodes),
        nodes=placed[: len(shown_nodes)],
        inputs=msgspec.UNSET if inputs is None else shown_inputs(plan, inputs),
        error=_error(plan, record, records),
        hooks=placed[len(shown_nodes) :] if hooks else msgspec.UNSET,
        hooks_failed=_hooks_failed(record, [states[hook].record for hook in hooks]),
        outputs=msgspec.UNSET if outputs is None else outputs,
        waiting_for=_turn(store, execution, record),
        version=msgspec.UNSET if record.version is None else record.version,
        parent=_parent(plan),
        children=_children(store, execution, plan),
        priority=plan.overall.priority,
        rerun_of=_rerun_of(record),
        reruns=_reruns(store, execution),
        trigger=_trigger(store, execution, record, plan, patterns),
        scheduled_at=msgspec.UNSET if record.scheduled_at is None else moment(record.scheduled_at),
        followers=_followers(record, patterns),
        cancel_requested=_cancel(record),
    )


def _those(nodes: Sequence[NodeView], only: Collection[NodeStatus] | None) -> tuple[NodeView, ...]:
    return tuple(nodes if only is None else [node for node in nodes if node.status in only])


def _cancel(record: ExecutionRecord) -> CancelView | msgspec.UnsetType:
    stop = record.stop or ended_by_of(record.control)
    if stop is None or stop.cause != "cancel":
        return msgspec.UNSET
    return CancelView(at=moment(stop.at), by=stop.by, reason=stop.reason)


def _trigger(
    store: QueryStore, execution: str, record: ExecutionRecord, plan: Plan, patterns: Sequence[str]
) -> TriggerView | msgspec.UnsetType:
    """What has started it, with the outputs of an end that has led to it."""
    view = trigger_of(execution, record, None if plan.lineage is None else plan.lineage.parent)
    if view is None or record.followed is None:
        return msgspec.UNSET if view is None else view
    if not covers(patterns, record.followed.workflow):
        # What that has given is not for this key either.
        return seen_trigger(view, record, patterns)
    found = store.outputs_before(execution)
    return replace(view, outputs=None if found is None else _decode_outputs(found))


def _followers(
    record: ExecutionRecord, patterns: Sequence[str]
) -> tuple[FollowerView, ...] | msgspec.UnsetType:
    """What its ends have started, as far as the key of who asks is for it."""
    found = tuple(
        [
            FollowerView(
                name=one.name,
                at=moment(one.at),
                execution_id=one.execution,
                code=one.code,
                message=one.message,
            )
            for one in record.followers
            if covers(patterns, one.name)
        ]
    )
    return found or msgspec.UNSET


def _rerun_of(record: ExecutionRecord) -> RerunOfView | msgspec.UnsetType:
    origin = record.origin
    return msgspec.UNSET if origin is None else RerunOfView(execution_id=origin.execution, run=origin.run)


def _reruns(store: QueryStore, execution: str) -> ChildrenView | msgspec.UnsetType:
    count = store.count_reruns(execution)
    link = f"/workflows?rerun_of={execution}"
    return ChildrenView(count=count, link=link) if count else msgspec.UNSET


def _parent(plan: Plan) -> ParentView | msgspec.UnsetType:
    lineage = plan.lineage
    if lineage is None:
        return msgspec.UNSET
    return ParentView(execution_id=lineage.parent, node=lineage.node, root=lineage.root)


def _children(store: QueryStore, execution: str, plan: Plan) -> ChildrenView | msgspec.UnsetType:
    if not plan.nests:
        return msgspec.UNSET
    root = execution if plan.lineage is None else plan.lineage.root
    count = store.count_children(root, execution)
    return ChildrenView(count=count, link=f"/workflows?parent={execution}")


def results(store: ResultsStore, execution: str) -> ResultsView:
    """Outputs of the completed nodes, errors of the failed. Raises ExecutionNotFoundError."""
    record, plan = known(store, execution)
    names = [*plan.names("main"), *[name for stage in HOOKS for name in plan.names(stage)]]
    stored = list(zip(names, store.node_results(execution, names), strict=True))
    maps = _of_maps(store, execution, plan, stored)
    stored = [(name, (found, maps.get(name, result))) for name, (found, result) in stored]
    main, hooks = _results(stored[: len(plan.main)]), _results(stored[len(plan.main) :])
    outputs = outputs_of(store, execution, plan, record) if is_over(record.status) else None
    if outputs is None and record.status == "completed":
        outputs = {}
    return ResultsView(
        execution_id=execution,
        status=record.status,
        results=main.results,
        errors=main.errors,
        outputs=outputs,
        hooks=hooks if plan.stages.has_hooks else msgspec.UNSET,
    )


def document(store: QueryStore, execution: str) -> PostedDocument:
    """The document as it was posted. Raises ExecutionNotFoundError, DocumentNotFoundError."""
    stored, is_there = store.document(execution)
    if not is_there:
        raise ExecutionNotFoundError.of(execution)
    if stored is None and is_child(execution):
        raise DocumentNotFoundError(
            f"execution '{execution}' stands for a node of another one: the document is that of its `parent`"
        )
    if stored is None:
        raise DocumentNotFoundError(
            f"execution '{execution}' was accepted by an earlier version, which kept no documents"
        )
    return unpack(stored)


def graph(store: QueryStore, execution: str, drawn: DrawnGraphs) -> DrawnGraph:
    """The picture of its workflow. Raises ExecutionNotFoundError."""
    _, plan = known(store, execution)
    return drawn.of(plan)


def deliveries(store: QueryStore, execution: str) -> DeliveriesView:
    """How the sending of its results to its `callback_url` went. Raises ExecutionNotFoundError."""
    url, found, is_there = store.deliveries(execution)
    if not is_there:
        raise ExecutionNotFoundError.of(execution)
    return deliveries_view(execution, url or "", found)


def _of_maps(
    store: ResultsStore,
    execution: str,
    plan: Plan,
    stored: Sequence[tuple[str, tuple[NodeRecord, bytes | None]]],
) -> dict[str, bytes | None]:
    """What the maps have given that have completed by themselves."""
    return {
        name: store.map_results(execution, name, primary_of(plan.nodes[plan.index[name]]))
        for name, (record, result) in stored
        if record.map is not None and result is None and counts_as_success(record.status)
    }


def _results(stored: Sequence[tuple[str, tuple[NodeRecord, bytes | None]]]) -> NodeResultsView:
    results: dict[str, msgspec.Raw] = {}
    errors: dict[str, NodeError] = {}
    for name, (ended, result) in stored:
        if counts_as_success(ended.status) and result is not None:
            results[name] = msgspec.Raw(result)
        elif ended.status == "failed" and ended.error is not None:
            errors[name] = ended.error
    return NodeResultsView(results=results, errors=errors)


class _Primary(msgspec.Struct, frozen=True):
    """The output of a node that gives the execution's outputs."""

    result: dict[str, msgspec.Raw] | None


_decode_primary = msgspec.json.Decoder(_Primary).decode


def _turn(store: QueryStore, execution: str, record: ExecutionRecord) -> TurnView | msgspec.UnsetType:
    """What one waits for that was triggered and has not begun."""
    line = record.line
    if line is None or record.status != "pending" or not record.run:
        return msgspec.UNSET
    place, limit = store.place_in_line(line.line, str(Member(execution, record.run)))
    return TurnView(kind="turn", key=shown_key(line.line), place=place, limit=limit, since=moment(line.at))


def outputs_of(
    store: ResultsStore, execution: str, plan: Plan, record: ExecutionRecord
) -> dict[str, msgspec.Raw] | None:
    """What an ended execution gives; None where nothing does."""
    source = source_of_outputs(plan, record.control)
    if source is None:
        return None
    ((_, result),) = store.node_results(execution, [source])
    return None if result is None else _decode_primary(result).result or {}


def _hooks_failed(execution: ExecutionRecord, hooks: Sequence[NodeRecord]) -> bool | msgspec.UnsetType:
    """Whether a hook has failed, or their time was over."""
    if not hooks:
        return msgspec.UNSET
    if execution.stop is not None and execution.stop.cause == "hooks_timeout":
        return True
    return any(hook.status == "failed" and not hook.tolerated for hook in hooks)


def _error(
    plan: Plan, execution: ExecutionRecord, records: Mapping[str, NodeRecord]
) -> ExecutionError | msgspec.UnsetType:
    ended_by = ended_by_of(execution.control)
    found = error_of(plan, execution.status, ended_by, records_of(records))
    return msgspec.UNSET if found is None else found


def shown_inputs(plan: Plan, stored: bytes) -> dict[str, msgspec.Raw]:
    """The inputs as JSON, secret ones hidden."""
    secret = secret_names(plan.inputs)
    found = msgspec.json.decode(stored, type=dict[str, msgspec.Raw])
    return {name: _HIDDEN if name in secret else value for name, value in found.items()}


def known(store: ResultsStore, execution: str) -> tuple[ExecutionRecord, Plan]:
    """The execution's own record, and its plan. Raises ExecutionNotFoundError."""
    record = store.read_execution(execution)
    plan = None if record is None else store.plan(execution)
    if record is None or plan is None:
        raise ExecutionNotFoundError.of(execution)
    return record, plan


def shown_status(
    execution: ExecutionRecord, plan: Plan, node: PlanNode, record: NodeRecord
) -> tuple[NodeStatus, SkipReason | None]:
    """The status that is shown of a node, and why it was skipped, if it was.

    One that an ended execution has not come to was cancelled, or is a hook of another verdict.
    """
    if not is_over(execution.status) or is_final(record.status):
        return shown(record.status), record.skipped
    if plan.index[node.id] in plan.main or execution.run == 0 or execution.stop is not None:
        return "cancelled", None
    return "skipped", "trigger_rule"


def node_view(execution: ExecutionRecord, plan: Plan, node: PlanNode, state: NodeState) -> NodeView:
    """One node as it is shown."""
    record = state.record
    status, skipped = shown_status(execution, plan, node, record)
    started = record.started_at
    if is_in_flight(record.status) and state.begun_at is not None:
        status = "running"
        # By a worker's idea of the server's clock, which may be some milliseconds off.
        started = max(state.begun_at, record.queued_at or 0)
    return NodeView(
        id=node.id,
        kind=kind_of(plan.policy(plan.index[node.id])),
        handler=handler_of(node),
        status=status,
        attempt=record.attempt,
        dependencies=tuple(plan.nodes[parent].id for parent in node.parents),
        queued_at=moment_or_none(record.queued_at),
        started_at=moment_or_none(started),
        # Of one that waits, that would be the end of its last attempt.
        finished_at=None if record.status == "waiting" else moment_or_none(record.finished_at),
        error=record.error,
        skipped=skipped or msgspec.UNSET,
        tolerated=record.tolerated or msgspec.UNSET,
        waiting_for=waiting_for(record) if record.status == "waiting" else msgspec.UNSET,
        cached=record.cached or msgspec.UNSET,
        iteration=(record.repeated.number if record.repeated is not None else 0) or msgspec.UNSET,
        map=map_view(record, state.map.sent, state.map.ended, state.map.failures),
        child=msgspec.UNSET if record.child is None else record.child.execution,
    )


def with_wait(store: QueryStore, plan: Plan, position: int, view: NodeView) -> NodeView:
    """The same; of a node whose iterations run apart, with what the one that is there waits for."""
    policy = plan.policy(position)
    apart = policy.group is not None and policy.group.sole and policy.map is None
    if not apart or view.status != "running" or not isinstance(view.child, str):
        return view
    waits = waits_apart(store, plan, position, [view.child])
    return replace(view, status="waiting", waiting_for=waits[view.child]) if waits else view


def waits_apart(
    store: QueryStore, plan: Plan, position: int, children: Sequence[str]
) -> dict[str, WaitingForView]:
    """What those of these children wait for in which a node waits. `position`: the node that they are items
    or iterations of, which runs in them alone."""
    name, found = plan.nodes[position].id, dict[str, WaitingForView]()
    asked = {child: child for child in children}
    while asked and (group := plan.policy(position).group) is not None and group.sole:
        plan, position = plan.group_at((position,)), 0
        inside: dict[str, str] = {}
        records = store.read_records([(execution, name) for execution in asked])
        for outer, record in zip(asked.values(), records, strict=True):
            if record.status == "waiting":
                found[outer] = waiting_for(record)
            elif is_open(record.status) and record.child is not None:
                inside[record.child.execution] = outer
        asked = inside
    return found


def waiting_for(record: NodeRecord) -> WaitingForView:
    """What a waiting node waits for, as it is shown."""
    if (turn := record.pace or record.turn) is not None:
        return WaitingForView(kind="turn", until=None, key=shown_key(turn.line))
    until, waits = moment_or_none(record.until), record.waits
    if waits is None:
        return WaitingForView(kind=wait_kind(record), until=until)
    return WaitingForView(
        kind=waits.kind, until=until, since=moment(waits.since), prompt=waits.prompt or msgspec.UNSET
    )
