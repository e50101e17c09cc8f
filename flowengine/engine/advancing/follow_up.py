"""What follows once a change is applied: decide about what became ready, end what has ended.

Always safe to do again: only a pending node of a running execution is dispatched, only a running
execution with nothing left is ended. The acknowledgement is part of the last transaction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from typing import Final

import msgspec
import structlog

from flowengine.engine.advancing.reads import expected, names_read
from flowengine.engine.ports import Acknowledge, Committed, DecisionStore, NodeKey, Reading, Unit
from flowengine.errors import ConflictError
from flowengine.execution.changes import Change, EnterStage, Finish, Happened
from flowengine.execution.events import Event
from flowengine.execution.records import UNTOUCHED, Control, NodeRecord
from flowengine.execution.rules.concluding import conclude
from flowengine.execution.rules.descent import EVERYTHING, Descent, Grounds
from flowengine.execution.rules.dispatching import Run, Sizes, chunks, readable
from flowengine.execution.rules.plain_steps import goes_on_plainly, plain_start
from flowengine.execution.rules.readiness import Records, ends_of, may_be_decided
from flowengine.execution.rules.stopping import mark, stop_below
from flowengine.execution.status import may
from flowengine.heuristics import BELOW_AT_FIRST, BELOW_GROWS
from flowengine.workflow.plan import Plan

log = structlog.stdlib.get_logger()

TRIES: Final = 20


class Follow(msgspec.Struct, frozen=True):
    """Nodes of one execution to look at, by index: what can be decided about them now is.

    `completed`: those of them whose dependencies have all completed, as is known. `opening`: the execution's
    first event, recorded if the first of them has never been attempted, and no main node has ended.
    """

    run: Run
    plan: Plan
    positions: tuple[int, ...]
    completed: Container[object] = ()
    opening: Event | None = None


def following(
    run: Run, plan: Plan, counters: Mapping[str, int | None], later: Sequence[int]
) -> Follow | None:
    """What to look at after a transaction: the joins whose counters it moved, where these say that something
    is to be decided, and what was put off. None: nothing."""
    due = {
        plan.index[name]: counter
        for name, counter in counters.items()
        if may_be_decided(plan, plan.index[name], counter)
    }
    positions = tuple(dict.fromkeys([*due, *later]))
    if not positions:
        return None
    completed = {position for position, counter in due.items() if counter == 0}
    if not plan.policies:
        # Without other rules only what depends on completions is put off.
        completed.update(later)
    return Follow(run, plan, positions, completed)


class Step(msgspec.Struct, frozen=True):
    """What one transaction leaves to do, and whether it carried the acknowledgement."""

    follows: tuple[Follow, ...] = ()
    ending: tuple[Run, ...] = ()
    acknowledged: bool = False


class Opened(msgspec.Struct, frozen=True):
    """A unit that was begun before it was known what is to be looked at, and what it has read.

    It serves if the very next transaction of this thread reads just that; any other takes away its WATCH. It
    has to have read after the message came: what it says may be the ground for doing nothing.
    """

    reading: Reading
    unit: Unit


class FollowUp:
    """Carries out what follows, in as many transactions as it takes."""

    def __init__(self, store: DecisionStore, sizes: Sizes) -> None:
        self._store = store
        self._sizes = sizes

    def carry_out(
        self,
        follows: Sequence[Follow],
        acknowledge: Acknowledge | None,
        ending: Sequence[Run] = (),
        opened: Opened | None = None,
    ) -> None:
        """Decide, then end, then acknowledge. Raises ConflictError, StoreUnavailableError."""
        todo, ends, acknowledged = tuple(follows), tuple(ending), False
        while todo or ends:
            step = self._round(todo, ends, acknowledge, opened)
            opened = None
            todo, ends, acknowledged = step.follows, step.ending, step.acknowledged
        if acknowledge is not None and not acknowledged:
            self._store.acknowledge(acknowledge)

    def _round(
        self,
        follows: Sequence[Follow],
        ending: tuple[Run, ...],
        acknowledge: Acknowledge | None,
        opened: Opened | None,
    ) -> Step:
        """One look at all that is to be looked at; the last transaction acknowledges if nothing is left
        then."""
        if len(follows) == 1 and len(follows[0].positions) == 1:
            # one node is one part, whatever its size
            return self._transact(follows, ending, acknowledge, opened)
        parts = [part for follow in follows for part in _parts(follow, self._sizes)]
        *groups, last = self._grouped(parts) or [[]]
        left = [self._transact(group, (), None) for group in groups]
        more = any(step.follows or step.ending for step in left)
        step = self._transact(last, ending, None if more else acknowledge, None if groups else opened)
        steps = [*left, step]
        return Step(
            tuple([follow for step in steps for follow in step.follows]),
            tuple([run for step in steps for run in step.ending]),
            step.acknowledged,
        )

    def _grouped(self, parts: Sequence[Follow]) -> list[list[Follow]]:
        """Small parts together, up to the size of one chunk."""
        groups: list[list[Follow]] = []
        nodes_left, bytes_left = 0, 0
        for part in parts:
            size = sum([part.plan.weights[position] for position in part.positions])
            if not groups or len(part.positions) > nodes_left or size > bytes_left:
                groups.append([])
                nodes_left, bytes_left = self._sizes.chunk_nodes, self._sizes.transaction_bytes
            groups[-1].append(part)
            nodes_left, bytes_left = nodes_left - len(part.positions), bytes_left - size
        return groups

    def _transact(
        self,
        follows: Sequence[Follow],
        ending: Sequence[Run],
        acknowledge: Acknowledge | None,
        opened: Opened | None = None,
    ) -> Step:
        plans = {follow.run.execution: follow.plan for follow in follows}
        plans |= {run.execution: plan for run in ending if (plan := self._store.plan(run.execution))}
        reading = _reading(follows, ending)
        for _ in range(TRIES):
            if opened is not None and opened.reading == reading:
                unit, opened = opened.unit, None
            else:
                unit = self._store.begin(reading)
            look = Look(unit, reading, follows, self._sizes)
            later = self._to_conclude_later(plans, ending, look)
            now = [run for run in ending if run not in later]
            changes = look.changes(self._conclusions(unit, plans, now))
            if not changes:
                unit.abandon()
                return Step()
            entered = _entered(plans, changes, ending)
            carried = None if look.goes_on or entered or later else acknowledge
            committed = unit.commit(changes, carried, expected(plans, changes, self._sizes))
            if committed is not None:
                self.note_ended(changes, ending)
                step = look.step(committed, acknowledged=carried is not None)
                if not ending:
                    return step
                ends = tuple(dict.fromkeys((*step.ending, *later)))
                return msgspec.structs.replace(step, follows=(*step.follows, *entered), ending=ends)
        nodes = [follow.plan.nodes[at].id for follow in follows for at in follow.positions]
        raise ConflictError(f"nodes {nodes[:3]} keep changing")

    def _to_conclude_later(
        self, plans: Mapping[str, Plan], ending: Sequence[Run], look: Look
    ) -> tuple[Run, ...]:
        """Those whose next stage may begin, and in which this transaction decides about a node as well: a
        stage sets the numbers, so it begins in the transaction after it."""
        found = []
        for run in ending:
            plan = plans.get(run.execution)
            if plan is not None and plan.stages.count and look.decides_on(run.execution):
                found.append(run)
        return tuple(found)

    def _conclusions(
        self, unit: Unit, plans: Mapping[str, Plan], ending: Sequence[Run]
    ) -> dict[str, tuple[Change, ...]]:
        """How those end that may, or what follows their last nodes."""
        found: dict[str, tuple[Change, ...]] = {}
        for run in ending:
            plan, control = plans.get(run.execution), unit.controls.get(run.execution)
            if plan is not None and control is not None and control.run == run.run:
                records = self._stored(plan, run.execution)
                counts = unit.counts[run.execution]
                found[run.execution] = conclude(plan, run, control, counts, unit.now, records)
        return found

    def _stored(self, plan: Plan, execution: str) -> Records:
        """The records of the nodes that come before the hooks, read at the first that is asked for.

        Nothing moves them any more then.
        """
        names = [*plan.names("main"), *plan.names("outputs")]
        found: dict[str, NodeRecord] | None = None

        def lookup(name: str) -> NodeRecord:
            nonlocal found
            if found is None:
                found = dict(self._store.read_nodes(execution, names))
            return found.get(name, UNTOUCHED)

        return lookup

    def note_ended(self, changes: Mapping[str, Sequence[Change]], ending: Sequence[Run]) -> None:
        """Log which of these have ended by the changes, and forget their plans."""
        for run in ending:
            for change in changes.get(run.execution, ()):
                # `isinstance` takes its time to say no, and so does the proxy of a logger that nobody hears.
                if type(change) is EnterStage:
                    log.info(
                        "execution.stage_started",
                        execution_id=run.execution,
                        correlation_id=run.correlation_id,
                        run=run.run,
                        stage=change.closing.stage,
                        verdict=change.closing.verdict,
                    )
                elif type(change) is Finish:
                    self._store.forget_plan(run.execution)
                    log.bind().info(
                        "execution.finished",
                        execution_id=run.execution,
                        correlation_id=run.correlation_id,
                        run=run.run,
                        status=change.status,
                    )


def _parts(follow: Follow, sizes: Sizes) -> list[Follow]:
    """What one transaction may do of it, each. The first part tells of the execution's start."""
    groups = chunks(follow.plan, follow.positions, sizes)
    if len(groups) <= 1:
        return [follow for _ in groups]
    first, *others = [msgspec.structs.replace(follow, positions=group) for group in groups]
    return [first, *(msgspec.structs.replace(other, opening=None) for other in others)]


def _reading(follows: Sequence[Follow], ending: Sequence[Run]) -> Reading:
    if len(follows) == 1 and not ending and follows[0].completed is EVERYTHING:
        return _reading_of_start(follows[0])
    nodes: dict[NodeKey, None] = {}
    parents: dict[NodeKey, None] = {}
    for follow in follows:
        execution, plan = follow.run.execution, follow.plan
        for position in follow.positions:
            nodes[execution, plan.nodes[position].id] = None
            seen = () if position in follow.completed else plan.nodes[position].parents
            if plan.begins_early[position]:
                seen = (*seen, *readable(plan, position))
            for read in seen:
                parents[execution, plan.nodes[read].id] = None
    ends = tuple([run.execution for run in ending])
    controls = dict.fromkeys([follow.run.execution for follow in follows]) | dict.fromkeys(ends)
    unwatched = tuple([key for key in parents if key not in nodes])
    opened = [follow.run.execution for follow in follows if follow.opening is not None]
    counts = tuple(dict.fromkeys((*ends, *opened)))
    return Reading(tuple(nodes), tuple(controls), counts, unwatched, ending=ends)


def _reading_of_start(follow: Follow) -> Reading:
    """The same of the start of one execution whose nodes say nothing more: most are."""
    execution, nodes = follow.run.execution, follow.plan.nodes
    read = tuple([(execution, nodes[position].id) for position in dict.fromkeys(follow.positions)])
    return Reading(read, (execution,), () if follow.opening is None else (execution,))


def _entered(
    plans: Mapping[str, Plan], changes: Mapping[str, Sequence[Change]], ending: Sequence[Run]
) -> tuple[Follow, ...]:
    """What to look at where a stage begins: its first nodes."""
    return tuple(
        [
            Follow(run, plans[run.execution], plans[run.execution].roots_of(change.closing.stage))
            for run in ending
            for change in changes.get(run.execution, ())
            if isinstance(change, EnterStage)
        ]
    )


class Decided(msgspec.Struct, frozen=True):
    """What one transaction decides about one execution. `joins` and `later`: see `Descent`. `goes_on`: more
    may follow from it."""

    run: Run
    plan: Plan
    changes: list[Change]
    joins: tuple[int, ...] = ()
    later: tuple[int, ...] = ()
    goes_on: bool = False


class Look:
    """What one transaction decides about the nodes that it looks at."""

    def __init__(self, unit: Unit, reading: Reading, follows: Sequence[Follow], sizes: Sizes) -> None:
        self._unit = unit
        self._read = names_read((*reading.nodes, *self._decided_before(reading)))
        self._sizes = sizes
        self._bytes_left = sizes.transaction_bytes
        by_execution: dict[str, list[Follow]] = defaultdict(list)
        for follow in follows:
            by_execution[follow.run.execution].append(follow)
        self._decided = [
            decided for found in by_execution.values() if (decided := self._decide(found)) is not None
        ]

    def _decided_before(self, reading: Reading) -> Sequence[NodeKey]:
        """What was read without WATCH and is not written here. What is pending or unsettled may be, if this
        comes down to it: it counts as unread, so that it is WATCHed first."""
        records = [(key, self._unit.nodes.get(key, UNTOUCHED)) for key in reading.unwatched]
        return [key for key, record in records if record.status != "pending" and not record.unsettled]

    def changes(self, conclusions: Mapping[str, Sequence[Change]]) -> dict[str, list[Change]]:
        """All that is to be written."""
        changes: dict[str, list[Change]] = defaultdict(list)
        for decided in self._decided:
            changes[decided.run.execution] += decided.changes
        for execution, concluding in conclusions.items():
            changes[execution] += concluding
        return {execution: listed for execution, listed in changes.items() if listed}

    def decides_on(self, execution: str) -> bool:
        """Whether something changes in the execution."""
        return any(decided.changes for decided in self._decided if decided.run.execution == execution)

    @property
    def goes_on(self) -> bool:
        """Whether more may follow from what is decided here."""
        return any(decided.goes_on for decided in self._decided)

    def step(self, committed: Committed, *, acknowledged: bool) -> Step:
        """What is left to do, by the numbers that the transaction left."""
        follows, ending = [], []
        for decided in self._decided:
            run, plan = decided.run, decided.plan
            if decided.joins or decided.later:
                names = [plan.nodes[join].id for join in decided.joins]
                counters = {name: committed.counters.get((run.execution, name)) for name in names}
                more = following(run, plan, counters, decided.later)
                follows += [] if more is None else [more]
            if committed.unfinished.get(run.execution, 1) <= 0:
                ending.append(run)
        return Step(tuple(follows), tuple(ending), acknowledged)

    def _decide(self, follows: Sequence[Follow]) -> Decided | None:
        """What follows in one execution; None where nothing may be decided there."""
        run, plan = follows[0].run, follows[0].plan
        control = self._unit.controls.get(run.execution)
        if control is None or control.run != run.run or not control.lets_decide:
            return None
        if len(follows) == 1 and (plain := self._plainly(follows[0], control)) is not None:
            return plain
        most, dispatches, stop = BELOW_AT_FIRST, control.lets_dispatch, None
        while True:
            grounds = self._grounds(plan, run, dispatches)
            descent = self._try(follows, grounds)
            if not descent.unread:
                if stop is not None or (stop := stop_below(grounds, descent)) is None:
                    break
                dispatches = False
                continue
            wanted = [plan.nodes[unread].id for unread in descent.unread][:most]
            self._unit.extend([(run.execution, name) for name in wanted])
            self._read[run.execution].update(wanted)
            most *= BELOW_GROWS
        self._bytes_left = descent.bytes_left
        tally: list[Change] = [descent.tally] if descent.unfinished else []
        marked = () if stop is None else mark(control, run, stop)
        # What is paused tells of its start when something is decided.
        openings = self._openings(follows) if descent.changes else []
        changes = [*openings, *descent.changes, *tally, *marked]
        goes_on = bool(descent.joins or descent.later or descent.unfinished)
        return Decided(run, plan, changes, tuple(descent.joins), tuple(descent.later), goes_on)

    def _plainly(self, follow: Follow, control: Control) -> Decided | None:
        """The same of nodes whose dependencies have completed, where no node says more than these; None where
        the long way is to be gone."""
        run, plan, completed = follow.run, follow.plan, follow.completed
        if not goes_on_plainly(plan, control):
            return None
        positions = dict.fromkeys(follow.positions)
        if completed is not EVERYTHING and not all(position in completed for position in positions):
            return None
        found = plain_start(plan, positions, run, self._unit.now, self._lookup(run.execution))
        if found is None:
            return None
        changes, size = found
        self._bytes_left -= size
        return Decided(run, plan, [*self._openings([follow]), *changes] if changes else changes)

    def _grounds(self, plan: Plan, run: Run, dispatches: bool) -> Grounds:
        records = self._lookup(run.execution)
        read = self._read[run.execution]
        return Grounds(plan, run, records, read, self._unit.now, self._sizes, self._bytes_left, dispatches)

    def _try(self, follows: Sequence[Follow], grounds: Grounds) -> Descent:
        plan, records = grounds.plan, grounds.records
        descent = Descent(grounds)
        for follow in follows:
            for position in dict.fromkeys(follow.positions):
                if position in follow.completed:
                    descent.look_after_completions(position)
                else:
                    descent.look(position, ends_of(plan, records, position))
        descent.finish()
        return descent

    def _openings(self, follows: Sequence[Follow]) -> list[Change]:
        for follow in follows:
            if follow.opening is None:
                continue
            record = self._lookup(follow.run.execution)(follow.plan.nodes[follow.positions[0]].id)
            # An operator who ended a node before anything was dispatched has told of the start.
            untouched = self._unit.counts[follow.run.execution].unfinished >= len(follow.plan.main)
            if untouched and may(record.status, "dispatch") and not record.dispatch:
                return [Happened(follow.opening)]
        return []

    def _lookup(self, execution: str) -> Records:
        return lambda name: self._unit.nodes.get((execution, name), UNTOUCHED)
