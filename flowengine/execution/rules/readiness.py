"""Which nodes something can be decided about: by their parents' records, or by a counter.

A join, which has several parents, has a counter of those that have not ended and of those that ended
otherwise than completed. Both are in one number, so that one reply of Redis tells both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from flowengine.execution.records import UNTOUCHED, Counts, NodeRecord
from flowengine.execution.rules.trigger_rules import Ends, ruling
from flowengine.execution.status import counts_as_success, is_final, may
from flowengine.workflow.plan import Plan
from flowengine.workflow.stages import Stage

Records: TypeAlias = Callable[[str], NodeRecord]

NOT_COMPLETED: Final = 1_000_000
"""What a parent that ended without completing adds to a counter: more than a node can have parents."""


def records_of(stored: Mapping[str, NodeRecord]) -> Records:
    """Lookup in a mapping of what was read; a node never written is pending, never attempted."""
    return lambda name: stored.get(name, UNTOUCHED)


def has_ended(record: NodeRecord) -> bool:
    """Whether a node has ended for the rules of those that depend on it.

    One that failed at once, by a node upstream, has when all that it depends on has ended; so has one that an
    operator ended before that.
    """
    return is_final(record.status) and not record.unsettled


def ends_of(plan: Plan, records: Records, position: int) -> Ends:
    """How the nodes that a node depends on have ended."""
    completed = tolerated = failed = skipped = cancelled = left = 0
    for parent in plan.nodes[position].parents:
        record = records(plan.nodes[parent].id)
        if not has_ended(record):
            left += 1
            if record.status != "failed":
                continue
        if record.status == "completed":
            completed += 1
        elif record.status == "failed":
            if record.tolerated:
                tolerated += 1
            else:
                failed += 1
        elif record.status == "skipped":
            skipped += 1
        elif record.status == "cancelled":
            cancelled += 1
    return Ends(completed, tolerated, failed, skipped, cancelled, left)


def counter_of(plan: Plan, records: Records, position: int) -> int:
    """What a join's counter must say: 1 for each parent that has not ended, NOT_COMPLETED for each other
    that has not completed."""
    total = 0
    for parent in plan.nodes[position].parents:
        record = records(plan.nodes[parent].id)
        if not has_ended(record):
            total += 1
        elif not counts_as_success(record.status):
            total += NOT_COMPLETED
    return total


def needs_counter(plan: Plan, records: Records, position: int) -> bool:
    """Whether a join's counter still decides something: it is pending, or failed and not settled."""
    record = records(plan.nodes[position].id)
    return plan.nodes[position].is_join and (may(record.status, "dispatch") or record.unsettled)


def count_of(plan: Plan, records: Records, stage: Stage = "main") -> Counts:
    """What an execution's counts must say of the nodes of its stage. Bytes of results are not looked at."""
    found = [records(name) for name in plan.names(stage)]
    return Counts(
        unfinished=sum(not is_final(record.status) for record in found),
        failed=sum(record.status == "failed" and not record.tolerated for record in found),
    )


def step_of_counter(*, completed: bool) -> int:
    """What a parent's end adds to a join's counter."""
    return -1 if completed else NOT_COMPLETED - 1


def is_due(counter: int | None) -> bool:
    """Whether all parents of the join whose counter says this have ended.

    None: there is no counter, so nothing is known.
    """
    return counter is not None and counter % NOT_COMPLETED == 0


def may_be_decided(plan: Plan, position: int, counter: int | None) -> bool:
    """Whether a join whose counter has just moved to this must be looked at: all its parents have ended, or
    one that has completed is enough."""
    return is_due(counter) or plan.trigger_rules[position] == "one_success"


def decidable(plan: Plan, records: Records, stage: Stage = "main") -> tuple[int, ...]:
    """The nodes of a stage that something is to be decided about, by their parents' records, in the
    document's order.

    These are pending ones whose rule says what becomes of them, and failed ones to settle.
    """
    return tuple([position for position in plan.positions(stage) if _is_decidable(plan, records, position)])


def _is_decidable(plan: Plan, records: Records, position: int) -> bool:
    record = records(plan.nodes[position].id)
    if may(record.status, "dispatch"):
        return ruling(plan.trigger_rules[position], ends_of(plan, records, position)) is not None
    return record.unsettled and ends_of(plan, records, position).left == 0
