"""What a rerun does that makes a new execution of another one: a fork. Pure.

The fork reuses results of its origin, which may still run, and may be of another version of the definition.
What begins again is decided by the rule of all reruns (`rules.steering.rerunning`), over the origin's records
as the fork can take them.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec.structs import replace

from flowengine.execution.chains.rules import tell_followers
from flowengine.execution.changes import Change, Copy, Finish, MarkStop, Tally
from flowengine.execution.records import UNTOUCHED, Control, NodeRecord, Stop
from flowengine.execution.rules.dispatching import Run
from flowengine.execution.rules.maps.choosing import KnownItems
from flowengine.execution.rules.readiness import records_of
from flowengine.execution.rules.steering.rerunning import (
    NOTHING_KNOWN,
    NotPossible,
    Rerun,
    Wanted,
    rerun_of,
)
from flowengine.execution.status import execution_after, is_final
from flowengine.workflow.plan import Plan

FORK_RUN: Final = 2
"""The run with which a fork begins: its first one is what it has copied."""
FAILED_KEPT_S: Final = 3600
"""A fork that could not be made says so for this long, and is gone then."""

COPIED_BYTES: Final = 4 * 1024 * 1024
"""About so many bytes of large results are copied in one transaction."""

AnewCode: TypeAlias = Literal["definition", "items", "child", "iterations", "unfinished"]
"""Why a node begins from its start: its definition, or one above it, is another in the other version; a run
of the same execution would keep its items, its child or its iterations, which are not copied; it has not
ended."""

ANEW_BECAUSE: Final[Mapping[AnewCode, str]] = {
    "definition": "is another in this version, or something above it is",
    "items": "begins with all of its items: those of a map that has not completed are not copied",
    "child": "begins with a new child execution: children are not copied",
    "iterations": "begins with its first iteration: iterations of a node that has not ended well are not "
    "copied",
    "unfinished": "has not ended yet",
}


class Anew(msgspec.Struct, frozen=True):
    """A node that begins from its start in the fork, and why that is so."""

    node: str
    code: AnewCode

    @property
    def message(self) -> str:
        """It as a sentence."""
        return f"'{self.node}' {ANEW_BECAUSE[self.code]}"


class Forking(msgspec.Struct, frozen=True):
    """What a fork does with each main node of its plan. `taken`: the records that it reuses."""

    rerun: Rerun
    taken: Mapping[str, NodeRecord]
    anew: tuple[Anew, ...] = ()


def taken_of(was: Plan, plan: Plan, stored: Mapping[str, NodeRecord]) -> dict[str, NodeRecord]:
    """The records that a fork by this plan may take of an execution by the plan `was` with these records."""
    same = same_nodes(was, plan)
    names = plan.names("main")
    return {name: record for name in names if name in same and _has_ended(record := _of(stored, name))}


def fork_of(
    was: Plan,
    plan: Plan,
    stored: Mapping[str, NodeRecord],
    wanted: Wanted,
    known: Mapping[str, KnownItems] = NOTHING_KNOWN,
) -> Forking:
    """What a fork by this plan does of an execution by the plan `was` with these records. `known`: the items
    of those maps among `taken_of` of which items are named: of these it copies what stays.

    A result is reused only where the definition of its node is the same, and those of all above it. What has
    not ended begins again. Children, and the items and iterations of what has not ended well, are not copied.
    """
    same, taken = same_nodes(was, plan), taken_of(was, plan, stored)
    rerun = rerun_of(plan, records_of(taken), wanted, known)
    named = frozenset(rerun.items)
    partial = {at: _code(taken[plan.nodes[at].id]) for at in (rerun.goes_on | rerun.keeps) - named}
    anew = []
    for position in sorted(rerun.reset):
        name = plan.nodes[position].id
        if name not in same:
            anew.append(Anew(name, "definition"))
        elif position in partial:
            anew.append(Anew(name, partial[position]))
        elif _is_under_way(_of(stored, name)):
            anew.append(Anew(name, "unfinished"))
    hindered = tuple([_of_origin(each, stored, same) for each in rerun.not_possible])
    rerun = replace(rerun, goes_on=frozenset(), keeps=named, not_possible=hindered)
    reused = [plan.nodes[position].id for position in copied_nodes(plan, rerun)]
    return Forking(rerun, {name: taken[name] for name in reused}, tuple(anew))


def copied_nodes(plan: Plan, rerun: Rerun) -> list[int]:
    """The main nodes that a fork copies: those that it reuses, and the maps of which it runs some items."""
    return sorted([*rerun.reused(plan), *rerun.keeps])


def _of_origin(hindered: NotPossible, stored: Mapping[str, NodeRecord], same: Container[str]) -> NotPossible:
    """The same, if the origin has a map that the fork cannot take."""
    if hindered.code != "no_items" or _of(stored, hindered.node).map is None:
        return hindered
    name = hindered.node
    if name not in same:
        message = f"'{name}' begins with all of its items, because it {ANEW_BECAUSE['definition']}"
    else:
        message = f"'{name}' has not ended, its items still run: wait for its end, or leave it out of 'items'"
    return replace(hindered, message=message)


def _of(stored: Mapping[str, NodeRecord], name: str) -> NodeRecord:
    return stored.get(name, UNTOUCHED)


def _has_ended(record: NodeRecord) -> bool:
    return is_final(record.status) and not record.unsettled


def _is_under_way(record: NodeRecord) -> bool:
    return record.status in ("queued", "open", "waiting")


def _code(record: NodeRecord) -> AnewCode:
    if record.map is not None:
        return "items"
    return "child" if record.child is not None else "iterations"


# -- which definitions are the same


def same_nodes(was: Plan, plan: Plan) -> frozenset[str]:
    """The main nodes that two plans define alike, with all that is above them."""
    if was is plan:
        return frozenset(plan.names("main"))
    found: set[str] = set()
    for position in plan.parents_first:
        node = plan.nodes[position]
        before = was.index.get(node.id)
        if position not in plan.main or before is None or before not in was.main:
            continue
        above = all(plan.nodes[parent].id in found for parent in node.parents)
        if above and _definition(was, before) == _definition(plan, position):
            found.add(node.id)
    return frozenset(found)


def _definition(plan: Plan, position: int) -> tuple[object, ...]:
    """All that a plan says of a node, with names where it has indexes."""
    node, policy = plan.nodes[position], plan.policy(position)
    return (
        _names(plan, node.parents),
        replace(node.work, reads=()),
        _names(plan, node.work.reads),
        replace(policy, sees=()),
        _names(plan, policy.sees),
    )


def _names(plan: Plan, positions: Iterable[int]) -> list[str]:
    return sorted([plan.nodes[position].id for position in positions])


# -- the steps of the copying


def copied(name: str, record: NodeRecord, counted_of_items: int = 0) -> Copy:
    """Copy what an ended node has: its record as one of the fork's first run, its result, what its items have
    given. It stands in no line, and its child is nobody's there."""
    kept = replace(record, run=FORK_RUN - 1, child=None, turn=None, pace=None)
    return Copy(name, kept, counted_of_items)


def in_one_step(records: Iterable[tuple[str, NodeRecord]]) -> int:
    """How many of these nodes are copied together, the first ones: one at least, if there is one. A map comes
    last: it may have thousands of items."""
    size = count = 0
    for _, record in records:
        size += record.counted
        if count and size > COPIED_BYTES:
            break
        count += 1
        if record.map is not None:
            break
    return count


def bytes_of(copies: Iterable[Copy]) -> tuple[Tally, ...]:
    """What the copied results count towards the limit of the fork. What the items of a map have given counts
    in its record once it has ended by itself."""
    size = 0
    for copy in copies:
        size += copy.record.counted
        if copy.record.map is not None and not copy.record.map.ended_by_itself:
            size += copy.counted_of_items
    return (Tally(bytes=size),) if size else ()


def cannot_be_made(run: Run, control: Control, reason: str, now: int) -> tuple[Change, ...]:
    """End a fork that has not begun and never will. No node gets a record by it."""
    stop = Stop("origin_gone", "failed", now, reason=reason, told=True)
    status = execution_after("pending", "give_up")
    end = Finish(status, now, 0, was="pending", kept_s=FAILED_KEPT_S)
    return (MarkStop("pending", stop), end, *tell_followers(run, control, now))
