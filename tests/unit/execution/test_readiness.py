"""When a node may run: by its parents' records and by its counter, which must say the same."""

from __future__ import annotations

from itertools import product
from typing import Final

import msgspec
import pytest

from flowengine.execution.records import Counts, NodeRecord
from flowengine.execution.rules.readiness import (
    NOT_COMPLETED,
    count_of,
    counter_of,
    decidable,
    has_ended,
    is_due,
    needs_counter,
    records_of,
    step_of_counter,
)
from flowengine.execution.status import StoredNodeStatus
from tests.support.rigs.harness import diamond, plan_of

PLAN: Final = plan_of(diamond())

SHARES: Final[dict[StoredNodeStatus, int]] = {
    "pending": 1,
    "queued": 1,
    "waiting": 1,
    "completed": 0,
    "failed": 1_000_000,
    "skipped": 1_000_000,
    "cancelled": 1_000_000,
}
"""What a parent in each status adds to the counter of a join below it."""

ENDED: Final = {"completed", "failed", "skipped", "cancelled"}


def test_the_high_part_counts_what_ended_without_completing() -> None:
    """So many parents as a workflow can have nodes do not reach it."""
    assert NOT_COMPLETED == 1_000_000


@pytest.mark.parametrize("parents", [1, 2, 3])
def test_a_counter_is_the_sum_of_what_each_parent_adds(parents: int) -> None:
    """Every combination of statuses."""
    names = ["a", "b", "c"][:parents]
    plan = plan_of({**dict.fromkeys(names, ()), "join": names})
    for statuses in product(SHARES, repeat=parents):
        records = {name: NodeRecord(status=status) for name, status in zip(names, statuses, strict=True)}
        counter = counter_of(plan, records_of(records), plan.index["join"])
        assert counter == sum(SHARES[status] for status in statuses), statuses


@pytest.mark.parametrize("parents", [1, 2, 3])
def test_a_counter_is_due_exactly_when_every_parent_has_ended(parents: int) -> None:
    """And 0 when every parent has completed; for every combination of statuses."""
    names = ["a", "b", "c"][:parents]
    plan = plan_of({**dict.fromkeys(names, ()), "join": names})
    join = plan.index["join"]
    for statuses in product(SHARES, repeat=parents):
        records = records_of(
            {name: NodeRecord(status=status) for name, status in zip(names, statuses, strict=True)}
        )
        counter = counter_of(plan, records, join)
        assert is_due(counter) == all(status in ENDED for status in statuses), statuses
        assert (counter == 0) == all(status == "completed" for status in statuses), statuses


def test_a_parent_that_failed_at_once_counts_as_not_ended_until_it_is_settled() -> None:
    """Something above it still runs; then it counts as any that failed."""
    plan = plan_of({"a": (), "b": (), "join": ("a", "b")})
    failing = NodeRecord(status="failed", unsettled=True)
    for record, counter in ((failing, 1), (msgspec.structs.replace(failing, unsettled=False), 1_000_000)):
        records = records_of({"a": NodeRecord(status="completed"), "b": record})
        assert counter_of(plan, records, 2) == counter
        assert has_ended(record) == (counter != 1)


def test_a_counter_still_decides_something_of_what_is_pending_or_not_settled() -> None:
    """A join that has failed and is settled is asked no more, nor is a node with one parent."""
    plan = plan_of({"a": (), "b": (), "join": ("a", "b"), "end": ("join",)})
    found = {}
    for status in SHARES:
        records = records_of({"join": NodeRecord(status=status)})
        found[status] = needs_counter(plan, records, 2)
    assert {status for status, needed in found.items() if needed} == {"pending"}
    failing = records_of({"join": NodeRecord(status="failed", unsettled=True)})
    assert needs_counter(plan, failing, 2)
    assert not needs_counter(plan, records_of({}), 3)


@pytest.mark.parametrize("before", ["pending", "queued", "waiting"])
@pytest.mark.parametrize("after", ["completed", "failed", "skipped", "cancelled"])
def test_a_step_takes_the_counter_from_one_status_to_the_next(
    before: StoredNodeStatus, after: StoredNodeStatus
) -> None:
    """What a parent's end adds is what its status adds then, less what it added before."""
    assert step_of_counter(completed=after == "completed") == SHARES[after] - SHARES[before]


def test_a_parent_that_ended_otherwise_can_be_told_from_one_that_has_not_ended() -> None:
    """One number, two counts."""
    plan = plan_of({"a": (), "b": (), "c": (), "join": ("a", "b", "c")})
    records = records_of({"a": NodeRecord(status="failed"), "b": NodeRecord(status="completed")})
    counter = counter_of(plan, records, 3)
    assert divmod(counter, NOT_COMPLETED) == (1, 1)


def test_without_a_counter_nothing_is_known() -> None:
    """An absent one is not 0."""
    assert not is_due(None)
    assert is_due(0)
    assert not is_due(1)
    assert not is_due(-1)
    assert is_due(NOT_COMPLETED)
    assert is_due(3 * NOT_COMPLETED)
    assert not is_due(NOT_COMPLETED + 1)
    assert not is_due(NOT_COMPLETED - 1)


def test_ready_are_pending_nodes_whose_parents_have_all_completed() -> None:
    """In the document's order."""
    done, queued = NodeRecord(status="completed"), NodeRecord(status="queued")
    assert decidable(PLAN, records_of({})) == (0,)
    assert decidable(PLAN, records_of({"a": queued})) == ()
    assert decidable(PLAN, records_of({"a": done})) == (1, 2)
    assert decidable(PLAN, records_of({"a": done, "b": done, "c": queued})) == ()
    assert decidable(PLAN, records_of({"a": done, "b": done, "c": done})) == (3,)


@pytest.mark.parametrize("status", ["queued", "waiting", "completed", "failed", "skipped", "cancelled"])
def test_only_a_pending_node_is_ready(status: StoredNodeStatus) -> None:
    """Whatever its parents have done."""
    done = NodeRecord(status="completed")
    assert 1 not in decidable(PLAN, records_of({"a": done, "b": NodeRecord(status=status), "c": done}))


def test_counts_are_those_of_the_nodes() -> None:
    """A node that was never written is unfinished; what was skipped has not failed."""
    statuses: dict[str, StoredNodeStatus] = {"a": "completed", "b": "failed", "c": "skipped"}
    records = records_of({name: NodeRecord(status=status) for name, status in statuses.items()})
    assert count_of(PLAN, records) == Counts(unfinished=1, failed=1)
    assert count_of(PLAN, records_of({})) == Counts(unfinished=4, failed=0)


def test_a_tolerated_failure_is_not_counted_and_a_waiting_node_has_not_ended() -> None:
    """The execution goes on."""
    records = records_of(
        {
            "a": NodeRecord(status="failed", tolerated=True),
            "b": NodeRecord(status="failed"),
            "c": NodeRecord(status="waiting"),
        }
    )
    assert count_of(PLAN, records) == Counts(unfinished=2, failed=1)
