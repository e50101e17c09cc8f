"""Groups of which few run at once: who holds a place, for how long, and what needs none."""

from __future__ import annotations

from typing import Any

import pytest

from flowengine.execution.limits.starts import EXPECTED_AT
from flowengine.execution.rules.steering.overruling import Skip
from flowengine.execution.views.executions import WaitingForView
from flowengine.plugin import Context, HandlerError
from flowengine.workflow.plan import Plan
from tests.integration.engine.test_engine_groups import child_of
from tests.support.checks.invariants import check_everything, check_moment
from tests.support.group_plans import adds, group, plan_from
from tests.support.rigs.harness import Harness

ONE = {"key": "db", "limit": 1}
LINE = "fe:line:n:db"


def limited(*nodes: dict[str, Any], name: str = "test", **more: Any) -> Plan:
    """A group of which one runs at once, and a node behind it."""
    inside = nodes or (adds("x", after=()), adds("y", "x", after=("x",)))
    said = {"concurrency": ONE, **more}
    last = {"id": "z", "handler": "sum", "config": {"inputs": [1]}, "dependencies": ["g"]}
    return plan_from(nodes=[group("g", *inside, **said), last], name=name)


def begin(harness: Harness, plan: Plan, count: int = 2) -> list[str]:
    """So many executions, all of whose groups are due."""
    found = [harness.begin(plan) for _ in range(count)]
    harness.start_executions()
    return found


def settle(harness: Harness) -> None:
    """Let the orchestrators do all that there is to do."""
    while entries := harness.waiting("orchestrator"):
        for entry in entries:
            harness.deliver(harness.orchestrators[0], entry)
    check_everything(harness.client)


def holders(harness: Harness) -> int:
    """How many groups have a child that runs."""
    stored = check_moment(harness.client)
    return sum(each.record("g").status == "open" for each in stored if "g" in each.nodes)


@pytest.mark.proves("turn-of-group")
def test_a_group_holds_its_place_until_its_child_has_ended(harness: Harness) -> None:
    """Through all of its nodes; the next one begins then, and what is behind the first needs no place."""
    found = begin(harness, limited())
    settle(harness)
    assert [harness.statuses(each)["g"] for each in found] == ["queued", "waiting"]
    view = {node.id: node for node in harness.api.executions.status(found[1]).nodes}["g"]
    assert view.waiting_for == WaitingForView(kind="turn", until=None, key="db", place=2)
    (page,) = harness.api.executions.operations.limits(10, None).items
    assert [(each.execution_id, each.node) for each in page.holders] == [(found[0], "g")]
    assert [(each.execution_id, each.node) for each in page.waiters] == [(found[1], "g")]
    together = 0

    def script(context: Context) -> None:
        nonlocal together
        together = max(together, holders(harness))

    harness.script = script
    harness.drain()
    assert together == 1
    assert [harness.statuses(each) for each in found] == [{"g": "completed", "z": "completed"}] * 2
    assert not harness.client.exists(LINE)


@pytest.mark.proves("turn-of-group")
def test_a_place_is_held_through_waits_and_pauses(harness: Harness) -> None:
    """As an execution holds one under the `concurrency` of its workflow."""
    wait = {"id": "x", "handler": "wait", "config": {"seconds": 60}}
    found = begin(harness, limited(wait))
    settle(harness)
    harness.run_tasks("x")
    settle(harness)
    child = child_of(harness, found[0], "g")
    assert harness.statuses(child) == {"x": "waiting"}
    harness.api.executions.pause(found[0])
    settle(harness)
    assert harness.statuses(found[1])["g"] == "waiting"
    harness.api.executions.resume(found[0])
    harness.cancel(found[0])
    settle(harness)
    assert [harness.statuses(each)["g"] for each in found] == ["cancelled", "queued"]
    harness.cancel(found[1])
    harness.drain()
    assert not harness.client.exists(LINE)


@pytest.mark.proves("turn-of-group")
def test_a_group_whose_condition_is_asked_keeps_its_place(harness: Harness) -> None:
    """Its task opens it, and gives no place back; one that is skipped does."""
    found = begin(harness, limited(when="{{ 1 == 1 }}"))
    settle(harness)
    harness.run_tasks("g")
    settle(harness)
    assert [harness.statuses(each)["g"] for each in found] == ["queued", "waiting"]
    assert harness.client.llen(LINE) == 2
    harness.drain()
    skipped = begin(harness, limited(when="{{ 1 == 2 }}"))
    harness.drain()
    assert [harness.statuses(each)["g"] for each in (*found, *skipped)] == ["completed"] * 2 + ["skipped"] * 2
    assert not harness.client.exists(LINE)


@pytest.mark.proves("turn-of-group")
def test_a_place_is_free_in_the_pause_before_another_try_of_a_group(harness: Harness) -> None:
    """The next one runs; the one that has failed stands behind it."""
    first = ""

    def script(context: Context) -> None:
        if context.execution_id == child_of(harness, first, "g") and context.run == 1:
            raise HandlerError("boom", "failed on purpose")

    found = begin(harness, limited(retry={"max_attempts": 2, "delay_seconds": 60}))
    first, harness.script = found[0], script
    settle(harness)
    harness.run_tasks("x")
    settle(harness)
    assert [harness.statuses(each)["g"] for each in found] == ["waiting", "queued"]
    assert harness.client.llen(LINE) == 1
    assert harness.end_pauses() == 1
    settle(harness)
    assert harness.client.llen(LINE) == 2
    harness.drain()
    assert [harness.statuses(each)["g"] for each in found] == ["completed"] * 2


@pytest.mark.proves("turn-of-group")
def test_what_is_in_a_group_needs_no_place_that_the_group_holds(harness: Harness) -> None:
    """It would wait for what waits for it. It waits to start, as the group does not hold that."""
    rate = {"key": "db", "limit": 9, "per_seconds": 60}
    same = {**adds("x", after=()), "concurrency": ONE}
    both = {**adds("y", "x", after=("x",)), "concurrency": ONE, "rate_limit": rate}
    other = {**adds("w", after=()), "concurrency": {"key": "other", "limit": 1}}
    again = {**adds("v", after=()), "concurrency": ONE, "retry": {"max_attempts": 2}}
    inner = group("inner", {**adds("deep", after=()), "concurrency": ONE}, after=(), concurrency=ONE)
    found = begin(harness, limited(same, both, other, inner, again))
    failed: set[str] = set()

    def script(context: Context) -> None:
        assert harness.client.llen(LINE) <= 2
        if context.node_id == "v" and context.execution_id not in failed:
            failed.add(context.execution_id)
            raise HandlerError("boom", "failed on purpose")

    harness.script = script
    harness.drain()
    assert [harness.statuses(each) for each in found] == [{"g": "completed", "z": "completed"}] * 2
    assert len(failed) == 2
    assert harness.client.zcard("fe:starts:r:db") == 2


@pytest.mark.proves("turn-of-group")
def test_a_group_that_repeats_takes_a_place_for_each_iteration(harness: Harness) -> None:
    """The other one may run between two of them; never both at once."""
    found = begin(harness, limited(repeat={"until": "{{ iteration >= 3 }}"}))
    together = 0

    def script(context: Context) -> None:
        nonlocal together
        together = max(together, holders(harness))

    harness.script = script
    harness.drain()
    assert together == 1
    for each in found:
        view = {node.id: node for node in harness.api.executions.status(each).nodes}["g"]
        assert (view.status, view.iteration) == ("completed", 3)


@pytest.mark.proves("turn-of-group")
def test_an_operator_ends_a_group_that_holds_a_place(harness: Harness) -> None:
    """The next one's turn has come."""
    found = begin(harness, limited())
    settle(harness)
    harness.overrule(found[0], "g", Skip())
    harness.run_tasks("x")
    settle(harness)
    assert [harness.statuses(each)["g"] for each in found] == ["skipped", "queued"]
    harness.drain()
    assert harness.statuses(found[1])["g"] == "completed"


@pytest.mark.proves("turn-of-group")
def test_the_start_of_a_group_counts_when_it_is_opened(harness: Harness) -> None:
    """No worker notes it. It does not count as one on its way until the group has ended."""
    pace = {"key": "db", "limit": 1, "per_seconds": 60}
    plan = limited(concurrency=None, rate_limit=pace)
    found = begin(harness, plan, count=1)
    settle(harness)
    ((_, at),) = harness.client.zrange("fe:starts:r:db", 0, -1, withscores=True)
    assert at < EXPECTED_AT
    found += begin(harness, plan, count=1)
    settle(harness)
    assert [harness.statuses(each)["g"] for each in found] == ["queued", "waiting"]
    harness.starts_ago("r:db", 62_000)
    assert harness.end_starts() == 1
    settle(harness)
    assert [harness.statuses(each)["g"] for each in found] == ["queued", "queued"]
    harness.drain()


@pytest.mark.proves("turn-of-group")
def test_the_key_of_a_group_may_read_nodes(harness: Harness) -> None:
    """A task makes it; then the group waits for its turn, and is opened without a further task."""
    said = {"concurrency": {"key": "db-{{ a.result }}", "limit": 1}}
    plan = plan_from(nodes=[adds("a"), group("g", adds("x", after=()), after=("a",), **said)])
    found = begin(harness, plan)
    harness.run_tasks("a")
    settle(harness)
    harness.run_tasks("g")
    settle(harness)
    assert sorted(harness.statuses(each)["g"] for each in found) == ["queued", "waiting"]
    assert harness.client.llen("fe:line:n:db-1") == 2
    harness.drain()
    assert [harness.statuses(each)["g"] for each in found] == ["completed"] * 2


def test_groups_of_the_same_name_in_other_workflows_have_lines_of_their_own(harness: Harness) -> None:
    """Where nothing names a key: the workflow and the groups around are a part of it."""
    inside = {**adds("x", after=()), "concurrency": {"limit": 1}}
    for name in ("one", "two"):
        harness.begin(limited(inside, name=name, concurrency={"limit": 1}))
    harness.start_executions()
    settle(harness)
    found = {name.decode() for name in harness.client.keys("fe:line:*")}
    wanted = {f"fe:line:m:{name}\t{node}" for name in ("one", "two") for node in ("g", "g/x")}
    assert found == wanted
    harness.drain()
