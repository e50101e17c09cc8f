"""What a rerun of an ended execution begins again, what it reuses and what it skips.

One function for a trigger, a rerun, and the preview of one: so a preview lists what the rerun does. How the
run then begins is `rules.starting`.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec.structs import replace

from flowengine.execution.records import NodeRecord, is_failure
from flowengine.execution.rules.dispatching import readable
from flowengine.execution.rules.readiness import Records, ends_of, has_ended
from flowengine.execution.rules.trigger_rules import ruling
from flowengine.execution.status import after, counts_as_success
from flowengine.nearest_name import nearest_name
from flowengine.workflow.plan import Plan
from flowengine.workflow.stages import OUTPUTS_NODE

RerunMode: TypeAlias = Literal["failed", "from", "all"]
"""What begins again: what has failed or was stopped; the nodes that are named; everything. What is below
begins again with it."""

Hindrance: TypeAlias = Literal["unknown_node", "hook", "also_skipped", "does_not_run"]
"""Why something that was asked for cannot be done."""


class Wanted(msgspec.Struct, frozen=True):
    """What is asked for. `start_from`: the nodes that the mode `from` begins with. `skip`: nodes that are
    skipped in this run. `said`: nodes that an operator has completed or failed. `readers`:
    nodes that read what the execution is given otherwise from now on."""

    mode: RerunMode = "failed"
    start_from: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()
    said: tuple[str, ...] = ()


_PENDING: Final = NodeRecord()
_SKIPPED: Final = NodeRecord(status="skipped", skipped="operator")

RETRY: Final = Wanted()
"""What a trigger of an ended execution asks for."""


class NotPossible(msgspec.Struct, frozen=True):
    """A node for which something was asked that cannot be done. `field`: of the request."""

    node: str
    field: Literal["from", "skip"]
    code: Hindrance
    message: str


class Rerun(msgspec.Struct, frozen=True):
    """What a rerun does with each main node, by index. What comes after the main nodes always comes again.

    `goes_on`: those of the nodes that are reset which go on with the iteration at which they have stopped, or
    with the child execution that they stood for. `keeps`: those maps among them that keep their items, of
    which those run that have not completed."""

    reset: frozenset[int]
    skipped: frozenset[int] = frozenset()
    not_possible: tuple[NotPossible, ...] = ()
    said: frozenset[int] = frozenset()
    keeps: frozenset[int] = frozenset()
    goes_on: frozenset[int] = frozenset()

    @property
    def by_hand(self) -> frozenset[int]:
        """The nodes with whose end this run begins."""
        return self.skipped | self.said

    @property
    def touched(self) -> frozenset[int]:
        """The nodes that do not stay as they are."""
        return self.reset | self.by_hand

    def reused(self, plan: Plan) -> list[int]:
        """The main nodes that stay as they are."""
        return [position for position in plan.main if position not in self.touched]


def rerun_of(plan: Plan, records: Records, wanted: Wanted = RETRY) -> Rerun:
    """What a rerun of an execution with these records does.

    What was stopped, and each `end`, begins again in every mode: nothing has been decided there. In the mode
    `failed` a tolerated failure stays, and so does a completed `one_success` while one of the dependencies
    that completed stays (LANGUAGE section 4). Below the nodes that are named, everything begins again, and so
    it does in a run with other inputs, which begins each node again that reads them.
    """
    hindered = [*_hindered_names(plan, wanted)]
    first = _positions(plan, wanted.start_from) if wanted.mode == "from" else frozenset()
    skipped, readers = _positions(plan, wanted.skip), _positions(plan, wanted.readers)
    said = _positions(plan, wanted.said)
    touched: set[int] = set()
    for position in plan.parents_first:
        if position not in plan.main:
            continue
        record = records(plan.nodes[position].id)
        parents = plan.nodes[position].parents
        if (
            wanted.mode == "all"
            or position in first
            or position in skipped
            or position in said
            or position in readers
            or _was_undecided(plan, position, record)
            or (wanted.mode == "failed" and is_failure(record))
            or (not touched.isdisjoint(parents) and not _stays(plan, records, position, touched, wanted))
        ):
            touched.add(position)
    reset = frozenset(touched) - skipped - said
    going_on = frozenset([at for at in reset if _goes_on(plan, records, at, touched, wanted)])
    anew = reset if wanted.mode == "all" else first | readers
    keeps = frozenset([at for at in reset & plan.maps - anew if _keeps(plan, records, at, touched)])
    rerun = Rerun(reset, skipped, said=said, goes_on=going_on, keeps=keeps)
    hindered += _hindered_starts(plan, records, rerun, first)
    return replace(rerun, not_possible=tuple(hindered))


def _keeps(plan: Plan, records: Records, position: int, touched: Container[int]) -> bool:
    """Whether a map's items are those that they were: nothing above it begins again."""
    record = records(plan.nodes[position].id)
    if record.map is None or record.status not in ("failed", "cancelled"):
        return False
    return not any(parent in touched for parent in plan.nodes[position].parents)


def _positions(plan: Plan, names: Iterable[str]) -> frozenset[int]:
    found = [plan.index[name] for name in names if name in plan.index]
    return frozenset([position for position in found if position in plan.main])


def _was_undecided(plan: Plan, position: int, record: NodeRecord) -> bool:
    """Whether a stop has ended the node before it was decided what becomes of it, or what came after it."""
    if plan.policy(position).ends or record.unsettled:
        return True
    return record.status in ("pending", "cancelled") or record.skipped == "ended_early"


def _goes_on(plan: Plan, records: Records, position: int, touched: Container[int], wanted: Wanted) -> bool:
    """Whether a node that repeats goes on where it has stopped, or a group with its child: one that is not
    asked to begin anew, while all that it has read stays."""
    record = records(plan.nodes[position].id)
    if wanted.mode != "failed" or wanted.readers or (record.repeated is None and record.child is None):
        return False
    above = (*plan.nodes[position].parents, *readable(plan, position))
    return record.status in ("failed", "cancelled") and not any(at in touched for at in above)


def _stays(plan: Plan, records: Records, position: int, touched: Container[int], wanted: Wanted) -> bool:
    """Whether the one completed dependency that a completed `one_success` needs is not repeated."""
    if wanted.mode != "failed" or wanted.readers or plan.policy(position).trigger_rule != "one_success":
        return False
    return counts_as_success(records(plan.nodes[position].id).status) and any(
        parent not in touched and counts_as_success(records(plan.nodes[parent].id).status)
        for parent in plan.nodes[position].parents
    )


# -- what cannot be done


def _hindered_names(plan: Plan, wanted: Wanted) -> Iterable[NotPossible]:
    """The names that no main node has, and those that are to run and to be skipped."""
    main = plan.names("main")
    listed: tuple[tuple[Literal["from", "skip"], tuple[str, ...]], ...] = (
        ("from", wanted.start_from),
        ("skip", wanted.skip),
    )
    for field, names in listed:
        for name in dict.fromkeys(names):
            if name not in plan.index or name == OUTPUTS_NODE:
                meant = nearest_name(name, main)
                proposal = "" if meant is None else f"; did you mean '{meant}'?"
                yield NotPossible(name, field, "unknown_node", f"there is no node {name[:200]!r}{proposal}")
            elif plan.index[name] not in plan.main:
                message = f"'{name}' is a hook: hooks run again with every rerun, as the verdict says"
                yield NotPossible(name, field, "hook", message)
            elif field == "skip" and name in wanted.start_from:
                message = f"'{name}' cannot begin again and be skipped: name it in 'from' or in 'skip'"
                yield NotPossible(name, field, "also_skipped", message)


def _hindered_starts(
    plan: Plan, records: Records, rerun: Rerun, first: Iterable[int]
) -> Iterable[NotPossible]:
    """The nodes that are to begin again and that what stays keeps from running."""

    def then(name: str) -> NodeRecord:
        position = plan.index[name]
        if position in rerun.skipped:
            return _SKIPPED
        return _PENDING if position in rerun.reset else records(name)

    for position in sorted(first):
        found = ruling(plan.trigger_rules[position], ends_of(plan, then, position))
        if position in rerun.reset and found in ("fail", "skip"):
            name, parents = plan.nodes[position].id, plan.nodes[position].parents
            stand = ", ".join(f"'{plan.nodes[at].id}' {then(plan.nodes[at].id).status}" for at in parents)
            verb = "fail again" if found == "fail" else "be skipped again"
            message = f"'{name}' would {verb} by what stays above it ({stand}): begin further up"
            yield NotPossible(name, "from", "does_not_run", message)


# -- the records of the new run


def skipped_by_operator(
    plan: Plan, position: int, pending: NodeRecord, records: Records, now: int
) -> NodeRecord:
    """The record of a node that this run skips. `records`: those with which the run begins.

    It counts as ended for the nodes below once all that it depends on has ended: what is below must not begin
    while something above it still runs.
    """
    waits = not all(has_ended(records(plan.nodes[parent].id)) for parent in plan.nodes[position].parents)
    return replace(
        pending, status=after(pending.status, "skip"), skipped="operator", finished_at=now, unsettled=waits
    )
