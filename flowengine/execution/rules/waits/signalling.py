"""Which signal goes to which node. Signals are kept in the order in which they come; the node that has waited
longest takes the first that it waits for. One in a group takes what the executions around it keep as well."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from flowengine.execution.changes import Change, Happened, KeepSignal, Send, TakeSignal
from flowengine.execution.events import Event
from flowengine.execution.messages import Callback, SignalKept
from flowengine.execution.records import NodeRecord
from flowengine.execution.reports import ByEvent, Completed
from flowengine.execution.rules.dispatching import Run
from flowengine.execution.rules.readiness import Records
from flowengine.execution.rules.waits.beginning import what_is_said
from flowengine.execution.signals import MOST_KEPT_BYTES, SIGNAL_BYTES, KeptSignal, KeptSignals, Sent
from flowengine.execution.status import is_open
from flowengine.workflow.plan import Plan
from flowengine.workflow.stages import Stage
from flowengine.workflow.waits.wait_policy import WaitPolicy

_encode = msgspec.json.Encoder().encode


class Match(msgspec.Struct, frozen=True):
    """A node, and the kept signal that it takes. `keeper`: the execution that keeps it."""

    position: int
    keeper: str
    name: str
    number: int


def is_full(kept: KeptSignals, payload: bytes) -> bool:
    """Whether no signal with this payload can be kept beside the others."""
    return kept.size + len(payload) + SIGNAL_BYTES > MOST_KEPT_BYTES


def keep(kept: KeptSignals, name: str, sent: Sent, run: Run, now: int) -> tuple[Change, ...]:
    """Keep a signal, and have it brought together with a node that waits for it."""
    signal = KeptSignal(kept.last + 1, len(sent.payload) + SIGNAL_BYTES)
    queue = (*kept.queue(name), signal)
    return (
        KeepSignal(name, queue, kept.size + signal.size, _encode(sent)),
        Happened(Event("signal_received", now, detail=name, by=sent.by)),
        signals_kept(run),
    )


def signals_kept(run: Run) -> Send:
    """The message that brings signals and nodes together."""
    return Send(SignalKept(execution=run.execution, run=run.run, correlation_id=run.correlation_id))


def keepers(plan: Plan, execution: str) -> tuple[str, ...]:
    """The executions whose signals the nodes of one take: its own come first, then those around it, up to the
    item that it is of: what several items wait for is sent to one of them."""
    lineage = plan.lineage
    if lineage is None:
        return (execution,)
    last = lineage.items[-1].execution if lineage.items else ""
    chain = lineage.chain[lineage.chain.index(last) + 1 :] if last in lineage.chain else lineage.chain
    return (execution, *reversed(chain))


def match(plan: Plan, stage: Stage, records: Records, kept: Mapping[str, KeptSignals]) -> Match | None:
    """The node that has waited longest of those for which something is kept, and the first that it takes.
    `kept`: of the executions that keep signals for it, the nearest first."""
    waiting: list[tuple[int, int]] = []
    for position in plan.signal_nodes:
        record = records(plan.nodes[position].id)
        waits = record.waits if position in plan.positions(stage) and record.status == "waiting" else None
        if waits is not None and waits.kind == "signal":
            waiting.append((waits.since, position))
    for _, position in sorted(waiting):
        said = what_is_said(plan.policy(position), records(plan.nodes[position].id))
        for keeper, signals in kept.items():
            first = None if said is None else _first(said, signals)
            if first is not None:
                return Match(position, keeper, *first)
    return None


def groups_to_tell(
    plan: Plan, records: Records, kept: Mapping[str, KeptSignals], run: Run
) -> tuple[Send, ...]:
    """What lets the nodes in its open groups look at what is kept, where they wait for some of that."""
    found = []
    for position, names in plan.signals_of_groups.items():
        record = records(plan.nodes[position].id)
        waits = any(signals.queue(name) for signals in kept.values() for name in names)
        if waits and record.child is not None and is_open(record.status):
            child = Run(record.child.execution, record.child.run, run.correlation_id)
            found.append(signals_kept(child))
    return tuple(found)


def _first(said: WaitPolicy, kept: KeptSignals) -> tuple[str, int] | None:
    """The first that came of those that a node waits for."""
    heads = [(queue[0].number, name) for name in said.names if (queue := kept.queue(name))]
    if not heads:
        return None
    number, name = min(heads)
    return name, number


def take(kept: KeptSignals, found: Match) -> TakeSignal:
    """The signal is kept no more."""
    queue = kept.queue(found.name)
    left = tuple([signal for signal in queue if signal.number != found.number])
    size = kept.size - sum(signal.size for signal in queue if signal.number == found.number)
    return TakeSignal(found.name, found.number, left, size)


def taken(plan: Plan, found: Match, run: Run, record: NodeRecord, sent: Sent, now: int) -> Callback:
    """What is reported of a node that has taken a signal."""
    said = what_is_said(plan.policy(found.position), record)
    several = said is not None and said.several
    result = {"name": found.name, "payload": sent.payload} if several else sent.payload
    return Callback(
        execution=run.execution,
        run=run.run,
        node=plan.nodes[found.position].id,
        dispatch=record.dispatch,
        attempt=record.attempt,
        by=ByEvent(sent.by),
        finished_at=now,
        outcome=Completed(msgspec.Raw(_encode({"result": result, "timed_out": False}))),
        correlation_id=run.correlation_id,
    )
