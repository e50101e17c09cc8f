"""Groups and what happens at the same moment: each row of the design's table, by hand."""

from __future__ import annotations

import msgspec
import pytest

from flowengine.engine.commands.rerun import RerunAsked
from flowengine.execution.messages import Callback
from flowengine.execution.reports import ByDelivery, Completed
from flowengine.execution.rules.steering.overruling import Fail
from flowengine.execution.rules.steering.rerunning import Wanted
from tests.integration.engine.test_engine_groups import (
    child_of,
    deliver_orchestrators,
    nested,
    raw_results,
    status,
    until_waiting,
)
from tests.support.checks.invariants import check_everything
from tests.support.group_plans import adds, group, plan_from
from tests.support.rigs.harness import Entry, Harness, failing_in


def until_message(harness: Harness, actor: str) -> Entry:
    """Go on until such a message waits, and leave it there."""
    for _ in range(50):
        waiting = harness.waiting("orchestrator")
        found = [entry for entry in waiting if entry.actor == actor]
        if found:
            return found[0]
        for entry in waiting:
            harness.deliver(harness.orchestrators[0], entry)
        harness.run_tasks()
    raise AssertionError(f"no {actor} was sent")


@pytest.mark.proves("group-made-once")
def test_two_orchestrators_make_one_child(harness: Harness) -> None:
    """Each WATCHes the child's control: the second finds it made."""
    harness.second_orchestrator()
    execution = harness.begin(nested())
    message = until_message(harness, "tend_child")
    first, second = harness.orchestrators
    first.state.between = lambda: harness.deliver(second, message)
    harness.deliver(first, message)
    harness.drain()
    assert status(harness, execution).status == "completed"
    assert len(harness.workers[0].invoker.calls) == 5
    check_everything(harness.client)


@pytest.mark.proves("group-stopped-unmade")
def test_a_node_that_is_cancelled_before_its_child_is_made_makes_none(harness: Harness) -> None:
    """No matter which comes first: the message that makes it, or the stop."""
    execution = harness.begin(nested())
    message = until_message(harness, "tend_child")
    harness.cancel(execution)
    harness.deliver(harness.orchestrators[0], message)
    harness.drain()
    assert status(harness, execution).status == "cancelled"
    assert harness.statuses(execution)["outer"] == "cancelled"
    assert not harness.client.exists(f"fe:x:{execution}:children")
    check_everything(harness.client)


@pytest.mark.proves("group-stopped-unmade")
def test_a_cancel_between_the_look_and_the_making_is_seen(harness: Harness) -> None:
    """Making it WATCHes the control of the parent."""
    execution = harness.begin(nested())
    message = until_message(harness, "tend_child")
    harness.orchestrators[0].state.between = lambda: harness.cancel(execution)
    harness.deliver(harness.orchestrators[0], message)
    harness.drain()
    assert not harness.client.exists(f"fe:x:{execution}:children")
    assert status(harness, execution).status == "cancelled"


@pytest.mark.proves("group-held")
def test_nothing_is_made_while_the_parent_is_paused(harness: Harness) -> None:
    """The resume has it made."""
    execution = harness.begin(nested())
    message = until_message(harness, "tend_child")
    harness.api.executions.pause(execution)
    harness.deliver(harness.orchestrators[0], message)
    harness.drain()
    assert not harness.client.exists(f"fe:x:{execution}:children")
    harness.api.executions.resume(execution)
    harness.drain()
    assert status(harness, execution).status == "completed"


@pytest.mark.proves("group-late-report")
def test_a_report_of_the_task_that_opened_a_node_ends_nothing(harness: Harness) -> None:
    """It is of that dispatch, and the node waits for its child."""
    plan = plan_from(nodes=[adds("a"), group("g", adds("one"), after=("a",), when="{{ a.result == 1 }}")])
    execution = harness.begin(plan)
    until_waiting(harness, "one")
    late = Callback(
        execution=execution,
        run=1,
        node="g",
        dispatch=1,
        attempt=1,
        by=ByDelivery(1, 5),
        finished_at=harness.now(),
        outcome=Completed(msgspec.Raw(b'{"result":{"one":99}}')),
        correlation_id="c",
    )
    fields = ["a", "node_finished", "p2", msgspec.json.encode(late)]
    harness.client.execute_command("XADD", harness.stream("orchestrator"), "*", *fields)
    deliver_orchestrators(harness)
    assert harness.statuses(execution)["g"] == "queued"
    harness.drain()
    assert raw_results(harness, execution)["g"] == {"result": {"one": 1}}


@pytest.mark.proves("group-child-gone")
def test_a_child_whose_keys_are_gone_is_made_anew(harness: Harness) -> None:
    """In the run that its node waits for."""
    harness.script = failing_in(1, "deep")
    execution = harness.begin(nested())
    harness.drain()
    outer = child_of(harness, execution, "outer")
    inner = child_of(harness, outer, "inner")
    for child in (outer, inner):
        harness.client.delete(*harness.client.scan_iter(f"fe:x:{child}:*"))
    harness.script = lambda context: None
    harness.trigger(execution)
    harness.drain()
    assert status(harness, execution).status == "completed"
    assert status(harness, outer).run == 1
    check_everything(harness.client)


@pytest.mark.proves("group-overruled")
def test_a_trigger_waits_for_an_overruled_child_that_still_stops(harness: Harness) -> None:
    """The next run begins at its end."""
    execution = harness.begin(nested())
    until_waiting(harness, "deep")
    outer = child_of(harness, execution, "outer")
    task = harness.task_of("deep")
    assert harness.overrule(execution, "outer", Fail()) == "failed"
    for entry in harness.waiting("orchestrator"):
        if entry.actor == "node_overruled":
            harness.deliver(harness.orchestrators[0], entry)
    assert status(harness, execution).status == "failed"
    harness.trigger(execution)
    harness.deliver(harness.workers[0], task)
    harness.drain()
    assert status(harness, execution).status == "completed"
    assert child_of(harness, execution, "outer") == outer
    check_everything(harness.client)


@pytest.mark.proves("group-goes-on")
def test_a_failure_above_a_failed_group_begins_it_anew(harness: Harness) -> None:
    """What it read is not as it was."""
    below = group("g", adds("one", "a", after=()), after=("a", "b"), trigger_rule="all_done")
    plan = plan_from(nodes=[adds("a"), adds("b"), below])
    harness.script = failing_in(1, "b", "one")
    execution = harness.begin(plan)
    harness.drain()
    before = child_of(harness, execution, "g")
    harness.script = lambda context: None
    harness.api.executions.rerun(execution, RerunAsked(Wanted("failed")))
    harness.drain()
    assert status(harness, execution).status == "completed"
    assert child_of(harness, execution, "g") != before


@pytest.mark.proves("group-snapshot")
def test_what_had_not_ended_when_a_group_began_stays_undefined(harness: Harness) -> None:
    """Also where it ends before the node in the group runs."""
    early = group(
        "g",
        adds("one"),
        {
            "id": "reads",
            "handler": "sum",
            "config": {"inputs": ["{{ slow.result | default(40) }}"]},
            "dependencies": ["one"],
        },
        after=("quick", "slow"),
        trigger_rule="one_success",
    )
    execution = harness.begin(plan_from(nodes=[adds("quick"), adds("slow"), early]))
    harness.start_executions()
    harness.run_tasks("quick")
    deliver_orchestrators(harness)
    harness.run_tasks("slow")
    deliver_orchestrators(harness)
    harness.drain()
    assert raw_results(harness, execution)["g"] == {"result": {"reads": 41}}


@pytest.mark.parametrize("count", [1, 3])
def test_many_groups_side_by_side(harness: Harness, count: int) -> None:
    """Each has a child of its own; ids in them may be the same."""
    groups = [group(f"g{number}", adds("one"), adds("two", "one")) for number in range(40 * count)]
    execution = harness.begin(plan_from(nodes=groups))
    harness.drain()
    assert status(harness, execution).status == "completed"
    view = status(harness, execution)
    assert not isinstance(view.children, msgspec.UnsetType)
    assert view.children.count == 40 * count
    tasks = [context.execution_id for context in harness.workers[0].invoker.calls]
    assert len(set(tasks)) == 40 * count
    check_everything(harness.client)
