"""What a rerun of an ended execution begins again, what it reuses and what it skips.

One function for a trigger, a rerun, and the preview of one: so a preview lists what the rerun does. How the
run then begins is `rules.starting`.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec.structs import replace

from flowengine.execution.records import NodeRecord, is_failure
from flowengine.execution.rules.dispatching import readable
from flowengine.execution.rules.maps.choosing import ChosenItems, KnownItems, choose
from flowengine.execution.rules.readiness import Records, ends_of, has_ended
from flowengine.execution.rules.trigger_rules import ruling
from flowengine.execution.status import after, counts_as_success, is_final
from flowengine.nearest_name import nearest_name
from flowengine.workflow.plan import Plan
from flowengine.workflow.stages import OUTPUTS_NODE

RerunMode: TypeAlias = Literal["failed", "from", "all"]
"""What begins again: what has failed or was stopped; the nodes that are named; everything. What is below
begins again with it."""

Hindrance: TypeAlias = Literal[
    "unknown_node",
    "hook",
    "also_skipped",
    "not_a_map",
    "unknown_item",
    "does_not_run",
    "all_items",
    "no_items",
]
"""Why something that was asked for cannot be done."""
OF_NOW: Final[frozenset[Hindrance]] = frozenset({"does_not_run", "all_items", "no_items"})
"""Those that lie in how the execution is now, and not in what the request names."""
MOST_UNKNOWN: Final = 20
"""So many unknown items of a map are named."""


class Wanted(msgspec.Struct, frozen=True):
    """What is asked for. `start_from`: the nodes that the mode `from` begins with. `skip`: nodes that are
    skipped in this run. `said`: nodes that an operator has completed or failed. `readers`:
    nodes that read what the execution is given otherwise from now on. `items`: those that run again of these
    maps, by their keys."""

    mode: RerunMode = "failed"
    start_from: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    items: Mapping[str, tuple[str, ...]] = {}


_PENDING: Final = NodeRecord()
_SKIPPED: Final = NodeRecord(status="skipped", skipped="operator")

NOTHING_KNOWN: Final[Mapping[str, KnownItems]] = MappingProxyType({})

RETRY: Final = Wanted()
"""What a trigger of an ended execution asks for."""


class NotPossible(msgspec.Struct, frozen=True):
    """A node for which something was asked that cannot be done. `field`: of the request. `item`: the key of
    an item of it."""

    node: str
    field: Literal["from", "skip", "items"]
    code: Hindrance
    message: str
    item: str | None = None


class Rerun(msgspec.Struct, frozen=True):
    """What a rerun does with each main node, by index. What comes after the main nodes always comes again.

    `goes_on`: those of the nodes that are reset which go on with the iteration at which they have stopped, or
    with the child execution that they stood for. `keeps`: those maps among them that keep their items, of
    which those run that have not completed, or that are chosen: `items`, by the index of their node."""

    reset: frozenset[int]
    skipped: frozenset[int] = frozenset()
    not_possible: tuple[NotPossible, ...] = ()
    said: frozenset[int] = frozenset()
    keeps: frozenset[int] = frozenset()
    goes_on: frozenset[int] = frozenset()
    items: Mapping[int, ChosenItems] = {}

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


def maps_to_know(plan: Plan, records: Records, wanted: Wanted) -> dict[str, int]:
    """The ended maps whose items have to be known for such a rerun, and how many these are."""
    found = {}
    for name in wanted.items:
        record = records(name) if name in plan.index else _PENDING
        if record.map is not None and is_final(record.status):
            found[name] = record.map.total
    return found


def rerun_of(
    plan: Plan, records: Records, wanted: Wanted = RETRY, known: Mapping[str, KnownItems] = NOTHING_KNOWN
) -> Rerun:
    """What a rerun of an execution with these records does. `known`: the items of `maps_to_know`.

    What was stopped, and each `end`, begins again in every mode: nothing has been decided there. In the mode
    `failed` a tolerated failure stays, and so does a completed `one_success` while one of the dependencies
    that completed stays (LANGUAGE section 4). Below the nodes that are named, everything begins again, and so
    it does in a run with other inputs, which begins each node again that reads them. A map of which items are
    named begins with these, in the mode `failed` with all that have not completed besides.
    """
    hindered = [*_hindered_names(plan, wanted)]
    first = _positions(plan, wanted.start_from) if wanted.mode == "from" else frozenset()
    skipped, readers = _positions(plan, wanted.skip), _positions(plan, wanted.readers)
    said, mapped = _positions(plan, wanted.said), _positions(plan, wanted.items)
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
            or position in mapped
            or _was_undecided(plan, position, record)
            or (wanted.mode == "failed" and is_failure(record))
            or (not touched.isdisjoint(parents) and not _stays(plan, records, position, touched, wanted))
        ):
            touched.add(position)
    reset = frozenset(touched) - skipped - said
    going_on = frozenset([at for at in reset if _goes_on(plan, records, at, touched, wanted)])
    anew = reset if wanted.mode == "all" else first | readers
    keeps = frozenset(
        [at for at in reset & plan.maps - anew if _keeps(plan, records, at, touched, named=at in mapped)]
    )
    items = {
        at: choose(found, wanted.items[name], with_unfinished=wanted.mode == "failed")
        for at in sorted(keeps & mapped)
        if (found := known.get(name := plan.nodes[at].id)) is not None
    }
    rerun = Rerun(reset, skipped, said=said, goes_on=going_on, keeps=keeps, items=items)
    hindered += _hindered_items(plan, records, rerun, wanted, known)
    hindered += _hindered_starts(plan, records, rerun, first | mapped, mapped)
    return replace(rerun, not_possible=tuple(hindered))


def _keeps(plan: Plan, records: Records, position: int, touched: Container[int], *, named: bool) -> bool:
    """Whether a map's items are those that they were: nothing above it begins again. `named`: some of them
    are asked for, also of one that has completed."""
    record = records(plan.nodes[position].id)
    if record.map is None or not (named or record.status in ("failed", "cancelled")):
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
    listed: tuple[tuple[Literal["from", "skip", "items"], tuple[str, ...]], ...] = (
        ("from", wanted.start_from),
        ("skip", wanted.skip),
        ("items", tuple(wanted.items)),
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
            elif field == "skip" and (name in wanted.start_from or name in wanted.items):
                other = "from" if name in wanted.start_from else "items"
                message = f"'{name}' cannot begin again and be skipped: name it in '{other}' or in 'skip'"
                yield NotPossible(name, field, "also_skipped", message)
            elif field == "items" and plan.index[name] not in plan.maps:
                message = f"'{name}' is no map and has no items: name it in 'from' to begin with it"
                yield NotPossible(name, field, "not_a_map", message)


def _hindered_items(
    plan: Plan, records: Records, rerun: Rerun, wanted: Wanted, known: Mapping[str, KnownItems]
) -> Iterable[NotPossible]:
    """The maps that do not begin with the items that are named, and the items that are not there."""
    for name, keys in wanted.items.items():
        position = plan.index.get(name, -1)
        if position not in rerun.reset or position not in plan.maps:
            continue
        if records(name).map is None:
            message = f"'{name}' has no items yet: name it in 'from' to begin with it"
            yield NotPossible(name, "items", "no_items", message)
        elif position not in rerun.keeps:
            why = _why_all(plan, rerun, wanted, position)
            message = f"'{name}' begins with all of its items, because {why}: leave it out of 'items'"
            yield NotPossible(name, "items", "all_items", message)
        elif name in known:
            unknown = [key for key in keys if key not in known[name].indexes]
            for key in unknown[:MOST_UNKNOWN]:
                message = f"'{name}' has no item {key[:200]!r}: its items tell their keys"
                yield NotPossible(name, "items", "unknown_item", message, key)


def _why_all(plan: Plan, rerun: Rerun, wanted: Wanted, position: int) -> str:
    name = plan.nodes[position].id
    if wanted.mode == "all" or name in wanted.start_from:
        return "'from' names it" if name in wanted.start_from else "everything begins again"
    if name in wanted.readers:
        return "it reads an input that changes"
    above = next(plan.nodes[at].id for at in plan.nodes[position].parents if at in rerun.touched)
    return f"'{above}' above it begins again"


def _hindered_starts(
    plan: Plan, records: Records, rerun: Rerun, first: Iterable[int], mapped: Container[int]
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
            yield NotPossible(name, "items" if position in mapped else "from", "does_not_run", message)


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
