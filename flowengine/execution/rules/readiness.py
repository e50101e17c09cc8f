"""When a node may run: by its parents' records, or by its counter.

A join, which has several parents, has a counter of those that have not ended and of those that ended
otherwise than completed. Both are in one number, so that one reply of Redis tells both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from flowengine.execution.records import UNTOUCHED, Counts, NodeRecord
from flowengine.execution.status import counts_as_success, is_final, may
from flowengine.workflow.plan import Plan

Records: TypeAlias = Callable[[str], NodeRecord]

NOT_COMPLETED: Final = 1_000_000
"""What a parent that ended without completing adds to a counter: more than a node can have parents."""


def records_of(stored: Mapping[str, NodeRecord]) -> Records:
    """Lookup in a mapping of what was read; a node never written is pending, never attempted."""
    return lambda name: stored.get(name, UNTOUCHED)


def counter_of(plan: Plan, records: Records, position: int) -> int:
    """What a join's counter must say: 1 for each parent that has not ended, NOT_COMPLETED for each other
    that has not completed."""
    total = 0
    for parent in plan.nodes[position].parents:
        status = records(plan.nodes[parent].id).status
        if not is_final(status):
            total += 1
        elif not counts_as_success(status):
            total += NOT_COMPLETED
    return total


def count_of(plan: Plan, records: Records) -> Counts:
    """What an execution's counts must say of its nodes. Bytes of results are not looked at."""
    statuses = [records(node.id).status for node in plan.nodes]
    return Counts(
        unfinished=sum(not is_final(status) for status in statuses),
        failed=sum(status == "failed" for status in statuses),
    )


def step_of_counter(*, completed: bool) -> int:
    """What a parent's end adds to a join's counter."""
    return -1 if completed else NOT_COMPLETED - 1


def is_due(counter: int | None) -> bool:
    """Whether a join whose counter says this may run: all parents have ended, and all have completed.

    None: there is no counter, so nothing is known.
    """
    return counter == 0


def ready(plan: Plan, records: Records) -> tuple[int, ...]:
    """The pending nodes whose parents are all completed, in the document's order."""
    return tuple(
        position
        for position, node in enumerate(plan.nodes)
        if may(records(node.id).status, "dispatch")
        and all(counts_as_success(records(plan.nodes[parent].id).status) for parent in node.parents)
    )
