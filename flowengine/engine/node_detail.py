"""Everything of one node: what has become of its attempts, and its config as its templates give it now.

The config is rendered when somebody asks, from what is stored by then: nothing is stored for it while
executions run. No secret is known here: `***` stands for each of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from flowengine import jsonvalue
from flowengine.engine.history import no_such_node
from flowengine.engine.limits.shown_places import with_places
from flowengine.engine.node_store import NodeStore, Readable, StoredNode
from flowengine.engine.ports import Given, Start
from flowengine.engine.queries import known, node_view, shown_inputs, shown_status, with_wait
from flowengine.engine.running.rendering.node_scope import node_scope
from flowengine.execution.messages import OUTCOME, RunNode
from flowengine.execution.records import ExecutionRecord, NodeRecord, attempt_of
from flowengine.execution.rules.dispatching import Run, not_ended, readable, task_of
from flowengine.execution.status import is_over
from flowengine.execution.views.executions import NULL, AttemptView, NodeDetailView, NodeView, moment_or_none
from flowengine.settings import Limits
from flowengine.template import TemplateError, render
from flowengine.workflow.inputs.declared import MASK
from flowengine.workflow.plan import Plan

MOST_CONFIG_BYTES: Final = 64 * 1024
"""So much of a rendered config is shown, as JSON."""
MOST_ATTEMPTS: Final = 21
"""The last one, and those that are kept beside it."""


class _Asked(msgspec.Struct, frozen=True):
    """The node that is asked about: where it stands in the plan, and its record."""

    execution: str
    execution_record: ExecutionRecord
    plan: Plan
    position: int
    record: NodeRecord
    previous: bytes | None


class _NotRenderableError(Exception):
    """The config cannot be rendered; the message says why."""


def show(store: NodeStore, execution: str, node: str, limits: Limits) -> NodeDetailView:
    """Everything of one node. `limits` bounds what its templates read and make.

    Raises ExecutionNotFoundError, NodeNotFoundError.
    """
    execution_record, plan = known(store, execution)
    position = plan.index.get(node)
    if position is None:
        raise no_such_node(node, plan.index)
    stored = store.stored_node(execution, node)
    view = node_view(execution_record, plan, plan.nodes[position], stored.state)
    view = with_wait(store, plan, position, view)
    (view,) = with_places(store, execution, [view], {node: stored.state.record})
    asked = _Asked(execution, execution_record, plan, position, stored.state.record, stored.previous)
    config, error, is_cut = _config(store, asked, limits)
    return NodeDetailView(
        **msgspec.structs.asdict(view),
        result=NULL if stored.result is None else msgspec.Raw(stored.result),
        attempts=tuple(_attempts(view, stored)),
        config=config,
        previous=msgspec.UNSET if stored.previous is None else msgspec.Raw(stored.previous),
        config_error=error or msgspec.UNSET,
        config_truncated=is_cut or msgspec.UNSET,
    )


# -- attempts


def _attempts(view: NodeView, stored: StoredNode) -> Iterator[AttemptView]:
    """The newest attempts, oldest first. The last one of a node that waits is among those that are kept."""
    record, last = stored.state.record, stored.state.record.attempt
    attempts = dict(stored.kept)
    if record.queued_at is not None:
        attempts.setdefault(last, attempt_of(record))
    for number in sorted(attempts)[-MOST_ATTEMPTS:]:
        attempt = attempts[number]
        begun = moment_or_none(attempt.started_at)
        yield AttemptView(
            attempt=number,
            queued_at=moment_or_none(attempt.queued_at),
            started_at=begun or (view.started_at if number == last else None),
            finished_at=moment_or_none(attempt.finished_at),
            delivery=attempt.delivery or None,
            error=attempt.error,
            iteration=attempt.iteration or msgspec.UNSET,
            child=attempt.child or msgspec.UNSET,
        )


# -- the config


def _config(store: NodeStore, asked: _Asked, limits: Limits) -> tuple[msgspec.Raw, str | None, bool]:
    """The config as JSON or NULL, why there is none, and whether it is cut."""
    try:
        data = _rendered(store, asked, limits)
    except (_NotRenderableError, TemplateError, jsonvalue.UnencodableError) as error:
        return NULL, str(error), False
    if len(data) <= MOST_CONFIG_BYTES:
        return msgspec.Raw(data), None, False
    beginning = data[:MOST_CONFIG_BYTES].decode(errors="ignore")
    return msgspec.Raw(msgspec.json.encode(beginning)), None, True


def _rendered(store: NodeStore, asked: _Asked, limits: Limits) -> bytes:
    """Raises _NotRenderableError, TemplateError, UnencodableError."""
    run = Run(asked.execution, asked.execution_record.run, asked.execution_record.correlation_id)
    task = task_of(asked.plan, asked.position, asked.record, run)
    start = _start(store, asked, task, limits.max_read_bytes)
    start = msgspec.structs.replace(start, previous=_previous(store, task, asked.previous))
    scope = node_scope(task, start, lambda name: MASK, limits.max_rendered_chars)
    config = jsonvalue.decode(bytes(task.config))
    return jsonvalue.encode(render(config, scope, max_chars=limits.max_rendered_chars))


def _previous(store: NodeStore, task: RunNode, own: bytes | None) -> bytes | None:
    """What the iteration before has given: the node's own, or that of the group around it which repeats."""
    within = task.within
    if within is None or not task.looks_back:
        return own
    around = store.stored_node(within.execution, within.node)
    repeated = around.state.record.repeated
    return around.previous if repeated is not None and repeated.ended + 1 == within.number else None


def _start(store: NodeStore, asked: _Asked, task: RunNode, max_read_bytes: int) -> Start:
    """What a worker would learn that began the node now, without secrets. Raises _NotRenderableError."""
    names = [asked.plan.nodes[at].id for at in dict.fromkeys(readable(asked.plan, asked.position))]
    if not names and not task.given and not task.outer and not task.held:
        return Start(wanted=True, inputs={}, storable_bytes=None, now=store.now())
    if task.given and not asked.execution_record.run:
        raise _NotRenderableError("it reads what is known once the execution has been triggered")
    found = store.readable(asked.execution, names)
    if task.chain:
        found = _with_around(store, task, found)
    _refuse_missing(asked, task, found)
    reads = [(asked.execution, read.node) for read in task.reads]
    reads += [(task.around(read.up), read.node) for read in task.outer if read.is_read]
    size = sum(found.sizes[name] for _, name in reads)
    if size > max_read_bytes:
        raise _NotRenderableError(
            f"the outputs it reads are {size} bytes, the limit is {max_read_bytes} "
            "(FLOWENGINE_MAX_READ_BYTES)"
        )
    outputs: dict[str, bytes] = {}
    for execution in dict.fromkeys(owner for owner, _ in reads):
        own = [name for owner, name in reads if owner == execution]
        results = store.node_results(execution, own)
        outputs |= {
            name: output for name, (_, output) in zip(own, results, strict=True) if output is not None
        }
    return Start(
        wanted=True,
        inputs=outputs,
        storable_bytes=None,
        now=store.now(),
        fates={
            name: found.records[name]
            for name in (*task.sees, *(read.node for read in task.outer if read.is_seen))
        },
        given=_masked(asked, store, task, found.given),
        held=tuple(
            [
                next(iter(store.stored_items(held.execution, held.node, [held.index])), None)
                for held in task.held
            ]
        ),
    )


def _with_around(store: NodeStore, task: RunNode, own: Readable) -> Readable:
    """The same, with the nodes around that it reads, and what the execution of its document is given."""
    records, sizes = dict(own.records), dict(own.sizes)
    given = store.readable(task.home, ()).given
    for execution in task.chain:
        names = [read.node for read in task.outer if task.around(read.up) == execution]
        if names:
            found = store.readable(execution, names)
            records |= found.records
            sizes |= found.sizes
    return Readable(given, records, sizes)


def _refuse_missing(asked: _Asked, task: RunNode, found: Readable) -> None:
    """Raises _NotRenderableError where something that the node reads is not known yet.

    A node that was sent reads what had ended by then, and nothing else.
    """
    plan, execution_record = asked.plan, asked.execution_record
    if asked.record.queued_at is None:
        for at in not_ended(plan, asked.position, lambda name: found.records[name]):
            node = plan.nodes[at]
            status, _ = shown_status(execution_record, plan, node, found.records[node.id])
            waits = "did not run" if is_over(execution_record.status) else "has not ended"
            raise _NotRenderableError(f"it reads '{node.id}', which {waits}: it is {status}")
    if OUTCOME in task.given and found.given.outcome is None:
        raise _NotRenderableError("it reads how the main nodes have ended, which is not known")


def _masked(asked: _Asked, store: NodeStore, task: RunNode, given: Given) -> Given:
    """What the execution is given, secret inputs hidden. What is made of secrets is made here of `***`."""
    record, plan = (asked.execution_record, asked.plan) if not task.chain else known(store, task.home)
    shown = None if given.inputs is None else msgspec.json.encode(shown_inputs(plan, given.inputs))
    parent = None if plan.lineage is None else plan.lineage.parent
    return msgspec.structs.replace(given, inputs=shown, execution=record, parent=parent)
