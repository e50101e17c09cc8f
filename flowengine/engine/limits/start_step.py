"""Nodes that wait to start: let those start, in their order, that may now, and come back when the next may.

All that may start at once start in one transaction, which WATCHes the starts of their line besides their
records: of two processes that let the same line start, one is refused.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import msgspec

from flowengine.engine.limits.standers import LineStore, Stander, read_standers, waits
from flowengine.engine.ports import Reading, Unit
from flowengine.errors import ConflictError
from flowengine.execution.changes import ArmTimer, Change, CountStart
from flowengine.execution.limits.lines import Pace, parse_member
from flowengine.execution.limits.starts import Starts, next_start, with_expected
from flowengine.execution.messages import StartsDue
from flowengine.execution.records import UNTOUCHED
from flowengine.execution.rules.dispatching import Run
from flowengine.execution.rules.limits.node_turns import start, step_aside
from flowengine.execution.status import is_in_flight

TRIES: Final = 50
AT_ONCE: Final = 64


class _Decided(msgspec.Struct):
    """What one transaction does: changes by execution, how many went, and when the next one may start."""

    changes: dict[str, list[Change]]
    gone: int = 0
    due: int | None = None


class StartStep:
    """Lets nodes start whose time has come."""

    def __init__(self, store: LineStore) -> None:
        self._store = store

    def look(self, line: str) -> int:
        """Let all start that may; returns how many went. Who does not stand there by its own record is passed
        over: the caller removes it.

        Raises ConflictError, StoreUnavailableError.
        """
        went = conflicts = 0
        while conflicts < TRIES:
            members = self._store.lines.first(line, AT_ONCE)
            found = [each for each in read_standers(self._store, members) if each.waits(line)]
            if not found:
                return went
            unit = self._store.begin(_reading(line, found), exact_time=True)
            decided = self._decide(line, found, unit)
            if not decided.changes:
                unit.abandon()
                return went
            if unit.commit(decided.changes) is None:
                conflicts += 1
                continue
            went += decided.gone
            if decided.due is not None or not decided.gone:
                return went
        raise ConflictError(f"the starts of {line!r} keep changing")

    def _decide(self, line: str, found: Sequence[Stander], unit: Unit) -> _Decided:
        changes: dict[str, list[Change]] = defaultdict(list)
        decided = _Decided(changes)
        starts = unit.starts_of.get(line, Starts())
        for each in found:
            member = each.of
            if member is None or member.node is None:
                continue
            control = unit.controls.get(member.execution)
            node = unit.nodes.get((member.execution, member.node), UNTOUCHED)
            plan = self._store.plan(member.execution)
            if control is None or plan is None or not waits(member, line, control, node):
                continue
            said = "" if each.execution is None else each.execution.correlation_id
            run = Run(member.execution, control.run, said)
            if not control.lets_dispatch:
                changes[member.execution] += step_aside(run, member.node, node, unit.now)
                decided.gone += 1
                continue
            assert node.pace is not None, "who waits to start has a pace"
            at = next_start(starts, node.pace, unit.now)
            if at > unit.now:
                decided.due = at
                timer = ArmTimer(StartsDue(line=line), at)
                changes[member.execution] += [timer, *self._lost(starts, node.pace, unit.now)]
                break
            changes[member.execution] += start(plan, plan.index[member.node], node, run, unit.now)
            starts = with_expected(starts)
            decided.gone += 1
        return decided

    def _lost(self, starts: Starts, pace: Pace, now: int) -> list[Change]:
        """Starts that were on their way to nodes which are not in flight any more (it should not be): they
        count from now on, and are forgotten in time."""
        known = [found for member in starts.expected if (found := parse_member(member)) is not None]
        wanted = [(each.execution, each.node or "") for each in known]
        records = self._store.read_records(wanted) if wanted else []
        return [
            CountStart(pace, str(each), now)
            for each, record in zip(known, records, strict=True)
            if not is_in_flight(record.status) or record.pace is None or record.pace.ticket != each.ticket
        ]


def _reading(line: str, found: Sequence[Stander]) -> Reading:
    members = [each.of for each in found if each.of is not None]
    most = max([each.node.pace.limit for each in found if each.node.pace is not None], default=1)
    return Reading(
        tuple([(each.execution, each.node or "") for each in members]),
        tuple(dict.fromkeys([each.execution for each in members])),
        lines=((line, most + 1),),
    )
