"""How a node is put in flight, and how much of that one transaction may do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, assert_never

import msgspec
from msgspec.structs import replace

from flowengine.execution.changes import Change, Dispatch, ForgetStart, Happened
from flowengine.execution.events import Event
from flowengine.execution.messages import CallsBack, Read, RunNode, StartExecution
from flowengine.execution.records import UNTOUCHED, NodeRecord, awaits_judgement, first_sent
from flowengine.execution.rules.children.opening import open_child
from flowengine.execution.rules.readiness import Records
from flowengine.execution.rules.repeating import awaits_iteration, sent
from flowengine.execution.status import NodeStep, after, is_final, is_open
from flowengine.execution.work import primary_of, reads_of
from flowengine.heuristics import TOLD_ROOTS, TOLD_ROOTS_CHARS
from flowengine.workflow.children.group import GROUP, Outer
from flowengine.workflow.children.lineage import HeldItem, Lineage
from flowengine.workflow.limits.declared import KeyTemplates
from flowengine.workflow.maps.policy import MapPolicy
from flowengine.workflow.plan import Plan, Task
from flowengine.workflow.policy import PLAIN, Policy
from flowengine.workflow.repeating.repeat import PREVIOUS


class Sizes(msgspec.Struct, frozen=True):
    """How much one transaction may do: nodes and bytes of tasks dispatched for one node's children, bytes of
    all tasks together; nodes that a fork copies."""

    chunk_nodes: int = 128
    chunk_bytes: int = 1024 * 1024
    transaction_bytes: int = 4 * 1024 * 1024
    copied_nodes: int = 50


SIZES = Sizes()
NO_CONFIG: Final = msgspec.Raw(b"{}")
_SAME_TRY: Final = ("dispatch_again", "call_again")
"""Steps that send the task of a try once more."""


class Run(msgspec.Struct, frozen=True):
    """Which execution, which of its runs, and the correlation id that its messages carry.

    The run says who speaks. A node is dispatched in the run that its own record names.
    """

    execution: str
    run: int
    correlation_id: str


def start_of(run: Run, plan: Plan, nodes: int) -> StartExecution:
    """The message that a run has begun. `nodes`: how many the execution has.

    A first run begins with the roots. A later one begins wherever something is left to do.
    """
    roots: tuple[str, ...] = ()
    if run.run == 1 and len(plan.roots) <= TOLD_ROOTS:
        roots = tuple([plan.nodes[position].id for position in plan.roots])
    return StartExecution(
        execution=run.execution,
        run=run.run,
        correlation_id=run.correlation_id,
        nodes=nodes,
        roots=roots if sum(map(len, roots)) <= TOLD_ROOTS_CHARS else (),
    )


def dispatch(
    plan: Plan, position: int, record: NodeRecord, run: Run, now: int, unseen: tuple[int, ...] = ()
) -> tuple[Change, ...]:
    """Put a pending node in flight: its next attempt. `unseen`: what it reads of that has not ended."""
    return _send(plan, position, record, run, now, "dispatch", record.attempt + 1, unseen)


def dispatch_again(plan: Plan, position: int, record: NodeRecord, run: Run, now: int) -> tuple[Change, ...]:
    """Send the task of a queued node anew, because the message is gone: the same attempt and moment."""
    forget = ForgetStart(plan.nodes[position].id, record.run, record.dispatch)
    again = _send(plan, position, record, run, now, "dispatch_again", record.attempt, record.unseen)
    return (forget, *again)


def try_again(plan: Plan, position: int, record: NodeRecord, run: Run, now: int) -> tuple[Change, ...]:
    """Put a node in flight that has waited for its next attempt."""
    return _send(plan, position, record, run, now, "try_again", record.attempt + 1, record.unseen)


def call_again(plan: Plan, position: int, record: NodeRecord, run: Run, now: int) -> tuple[Change, ...]:
    """Put a node in flight whose handler has put off its call: the same attempt and moment."""
    return _send(plan, position, record, run, now, "call_again", record.attempt, record.unseen)


def iterate(plan: Plan, position: int, record: NodeRecord, run: Run, now: int) -> tuple[Change, ...]:
    """Put a node in flight for its next iteration: its record comes first. After the wait before the first
    one that is the same attempt, and where what an iteration has given is still to be judged."""
    first = record.repeated is None or not record.repeated.number
    attempt = record.attempt if first or awaits_judgement(record) else record.attempt + 1
    return _send(plan, position, record, run, now, "iterate", attempt, record.unseen)


def judge(plan: Plan, position: int, record: NodeRecord, run: Run, now: int) -> tuple[Dispatch, Happened]:
    """Let a worker say what follows from what the child of an iteration has given: the same attempt."""
    queued = _queued(plan, position, record, now, "judge", record.attempt, record.unseen)
    return _send_task(plan, position, queued, run, now)


def ask(plan: Plan, position: int, record: NodeRecord, run: Run, now: int) -> tuple[Dispatch, Happened]:
    """Let a worker say whether a node is tried again whose child has failed: the same try."""
    step: NodeStep = "judge" if is_open(record.status) else "try_again"
    queued = _queued(plan, position, record, now, step, record.attempt, record.unseen)
    queued = replace(queued, tried=record.tried, asks=record.asks, started_at=record.started_at)
    return _send_task(plan, position, queued, run, now)


def go_on(plan: Plan, position: int, record: NodeRecord, run: Run, now: int) -> tuple[Change, ...]:
    """Put a node in flight whose wait is over."""
    if record.asks is not None:
        return ask(plan, position, record, run, now)
    if awaits_iteration(record):
        return iterate(plan, position, record, run, now)
    return try_again(plan, position, record, run, now)


def readable(plan: Plan, position: int) -> tuple[int, ...]:
    """The indexes of the nodes whose output or fate a node's templates read."""
    return (*reads_of(plan.nodes[position]), *plan.policy(position).sees)


def not_ended(plan: Plan, position: int, records: Records) -> tuple[int, ...]:
    """Those of them that have not ended."""
    found = dict.fromkeys(readable(plan, position))
    return tuple([read for read in found if not is_final(records(plan.nodes[read].id).status)])


def _send(
    plan: Plan,
    position: int,
    record: NodeRecord,
    run: Run,
    now: int,
    step: NodeStep,
    attempt: int,
    unseen: tuple[int, ...],
) -> tuple[Change, ...]:
    """Put a node in flight: its task is sent, or it is opened, where nothing is to be rendered for that."""
    policy = plan.policy(position)
    if policy is PLAIN and record is UNTOUCHED:
        queued = NodeRecord(
            after(record.status, step), attempt, record.dispatch + 1, queued_at=now, unseen=unseen
        )
        return _send_task(plan, position, queued, run, now)
    queued = _queued(plan, position, record, now, step, attempt, unseen)
    rendered = _condition_of(policy, queued) is None and policy.keys_to_make(queued.keys) is None
    if rendered and _opens_at_once(policy, queued):
        return open_child(run.execution, plan.nodes[position].id, queued, run.correlation_id, now)
    return _send_task(plan, position, queued, run, now)


def _opens_at_once(policy: Policy, queued: NodeRecord) -> bool:
    """Whether nothing but its condition is to be rendered: a group, or what goes on with the child that it
    has."""
    if policy.repeat is not None and (queued.repeated is None or not queued.repeated.number):
        return False  # The wait before its first iteration is to be rendered.
    if awaits_judgement(queued) or queued.asks is not None:
        return False
    if policy.group is not None:
        return policy.map is None
    return policy.calls is not None and queued.child is not None


def _queued(
    plan: Plan,
    position: int,
    record: NodeRecord,
    now: int,
    step: NodeStep,
    attempt: int,
    unseen: tuple[int, ...],
) -> NodeRecord:
    policy = plan.policy(position)
    retries = policy.retry is not None
    asks = record.asks if step in _SAME_TRY else None
    return NodeRecord(
        status=after(record.status, step),
        attempt=attempt,
        dispatch=record.dispatch + 1,
        queued_at=now,
        run=record.run,
        when=record.when,
        unseen=unseen,
        tried=record.tried + (step not in _SAME_TRY) if retries else 0,
        since=record.since or (now if retries else 0),
        answered=record.answered,
        moment=first_sent(record) if step in _SAME_TRY else record.moment,
        counted=record.counted,
        repeated=None if policy.repeat is None else sent(policy.repeat, record, now),
        child=record.child,
        turn=record.turn,
        pace=record.pace,
        map=record.map,
        called=record.called,
        cached=record.cached,
        keys=record.keys,
        asks=asks,
        started_at=None if asks is None else record.started_at,
    )


def _send_task(
    plan: Plan, position: int, queued: NodeRecord, run: Run, now: int
) -> tuple[Dispatch, Happened]:
    """Send the task of a node that is queued in `queued`."""
    node = plan.nodes[position]
    event = Event("node_queued", now, node.id, queued.attempt, queued.dispatch)
    match node.work:
        case Task() as task:
            policy = plan.policy(position)
            message = _task(plan, node.id, task, policy, queued, run)
            if policy.calls is not None and queued.child is not None and message.keys is None:
                message = replace(message, handler=GROUP, config=NO_CONFIG, opens=True)
            # What renders items or keys needs a thread, whatever the node's own handler needs.
            waits = position in plan.waiting and policy.map is None and message.keys is None
            crowd = position in plan.crowd
            priority = plan.overall.priority
            sent = Dispatch(queued, message, task.queue, waits, crowd=crowd, priority=priority)
            return (sent, Happened(event))
        case _ as never:
            assert_never(never)


def lines_of_task(plan: Plan, position: int) -> tuple[bool, ...]:
    """Whether the task of a node goes to the line of those that need no thread: both, where some of its tasks
    do."""
    policy = plan.policy(position)
    if position not in plan.waiting:
        return (False,)
    renders = policy.map is not None or policy.keys_to_make(None) is not None
    return (False, True) if renders else (True,)


def task_of(plan: Plan, position: int, record: NodeRecord, run: Run) -> RunNode:
    """The task of a node as its record stands: what is sent to the workers while it is in flight."""
    node = plan.nodes[position]
    match node.work:
        case Task() as task:
            return _task(plan, node.id, task, plan.policy(position), record, run)
        case _ as never:
            assert_never(never)


def base_of_items(plan: Plan, position: int, record: NodeRecord, run: Run) -> RunNode:
    """What the tasks of all items of an open map have in common."""
    node, policy = plan.nodes[position], plan.policy(position)
    match node.work:
        case Task() as task:
            base = _task(plan, node.id, task, replace(policy, map=None), record, run)
            return replace(base, when=None, until=0 if record.map is None else record.map.until)
        case _ as never:
            assert_never(never)


def _task(plan: Plan, name: str, task: Task, policy: Policy, queued: NodeRecord, run: Run) -> RunNode:
    nodes, unseen = plan.nodes, queued.unseen
    core = RunNode(
        execution=run.execution,
        run=queued.run,
        node=name,
        dispatch=queued.dispatch,
        attempt=queued.attempt,
        handler=task.handler,
        config=task.config,
        reads=tuple([Read(nodes[at].id, primary_of(nodes[at])) for at in task.reads if at not in unseen]),
        timeout_ms=task.timeout_ms,
        correlation_id=run.correlation_id,
        answered=queued.answered,
        moment=first_sent(queued) or 0,
    )
    if plan.maps and (maps := [nodes[at].id for at in task.reads if at in plan.maps and at not in unseen]):
        core = replace(core, maps=tuple(maps))
    lineage = plan.lineage
    if policy is PLAIN and not unseen and lineage is None:
        return core
    fresh = queued.cached is False or (lineage is not None and lineage.fresh)
    full = replace(
        core,
        # What repeats by children shows the handler of the node in them, and its own tasks call none.
        handler=task.handler if policy.group is None else GROUP,
        when=_condition_of(policy, queued),
        tries_once=policy.retry is not None,
        pace=queued.pace,
        sees=tuple([nodes[at].id for at in policy.sees if at not in unseen]),
        unseen=(*[nodes[at].id for at in unseen], *(() if lineage is None else lineage.unseen)),
        retry_when=None if policy.retry is None else policy.retry.when,
        output_schema=policy.output_schema,
        given=policy.given,
        repeat=policy.repeat,
        repeated=queued.repeated,
        chain=() if lineage is None else lineage.chain,
        outer=policy.outer if lineage is None else _seen(policy.outer, lineage.unseen),
        opens=policy.group is not None,
        judges=policy.group is not None and awaits_judgement(queued),
        calls_back=_callback_of(plan, name, policy),
        cache=policy.cache,
        fresh=policy.cache is not None and fresh,
        held=() if lineage is None or not policy.items else _held(policy.items, lineage),
        within=None if lineage is None or not policy.within else lineage.iteration,
        looks_back=policy.within == PREVIOUS,
        asks=queued.asks,
    )
    if (keys := policy.keys_to_make(queued.keys)) is not None:
        return _making_keys(full, keys)
    return full if policy.map is None else _expanding(full, policy.map, keeps=queued.map is not None)


def _held(names: tuple[str, ...], lineage: Lineage) -> tuple[HeldItem, ...]:
    """The items around that are called so: of two of one name, the inner one hides the outer."""
    found = {item.name: item for item in lineage.items if item.name in names}
    return tuple(found.values())


def _callback_of(plan: Plan, name: str, policy: Policy) -> CallsBack | None:
    """Where the callback goes that the node waits for once its handler has run."""
    waits = policy.waits
    if waits is None or waits.kind != "callback":
        return None
    return CallsBack(waits.url, plan.index[name])


EXPANDER: Final = "set"
"""The handler whose task renders the items of a map, or the keys of limits: every worker knows it."""


def _making_keys(task: RunNode, keys: KeyTemplates) -> RunNode:
    """The task of a node that is due and whose limits have keys to make: it asks the condition first."""
    return replace(
        task,
        handler=EXPANDER,
        config=NO_CONFIG,
        output_schema=None,
        repeat=None,
        opens=False,
        calls_back=None,
        cache=None,
        fresh=False,
        keys=keys,
    )


def _expanding(task: RunNode, said: MapPolicy, *, keeps: bool) -> RunNode:
    """The task of a map's node: what its items are, or what is left to do of those that it `keeps`."""
    config = msgspec.Raw(said.spec.encode())
    return replace(
        task,
        handler=EXPANDER,
        config=config,
        output_schema=None,
        cache=None,
        fresh=False,
        opens=False,
        expands=True,
        item_name=said.name,
        keeps=keeps,
    )


def _condition_of(policy: Policy, queued: NodeRecord) -> str | None:
    """What a worker renders to know whether the node runs; None where that is known, or was rendered for an
    earlier try, or for the keys of its limits."""
    if awaits_judgement(queued) or (queued.keys is not None and queued.keys.asked):
        return None
    return policy.when if queued.tried <= 1 and queued.when is None else None


def _seen(outer: tuple[Outer, ...], unseen: tuple[str, ...]) -> tuple[Outer, ...]:
    """Of what is read around, what had ended when the child was made."""
    return outer if not unseen else tuple([each for each in outer if each.node not in unseen])


def fits(plan: Plan, positions: tuple[int, ...], sizes: Sizes, bytes_left: int) -> bool:
    """Whether nodes can be dispatched together in a transaction that may still send `bytes_left` bytes."""
    if len(positions) > sizes.chunk_nodes:
        return False
    size, weights = 0, plan.weights
    for position in positions:  # most often one: this is asked several times for each node
        size += weights[position]
    return size <= sizes.chunk_bytes and size <= bytes_left


def chunks(plan: Plan, positions: Iterable[int], sizes: Sizes) -> list[tuple[int, ...]]:
    """Positions in groups small enough to dispatch in one transaction."""
    groups: list[tuple[int, ...]] = []
    group: list[int] = []
    size = 0
    for position in positions:
        weight = plan.weights[position]
        if group and (len(group) >= sizes.chunk_nodes or size + weight > sizes.chunk_bytes):
            groups.append(tuple(group))
            group, size = [], 0
        group.append(position)
        size += weight
    return [*groups, tuple(group)] if group else groups
