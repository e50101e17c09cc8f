"""Items of maps of groups that are tried again: each goes on in the execution of its group."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from flowengine.execution.views.maps import ItemView
from flowengine.plugin import Context, HandlerError
from flowengine.workflow.plan import Plan
from tests.support.checks.invariants import check_everything
from tests.support.group_plans import adds, group, plan_from
from tests.support.rigs.harness import Harness, Script

pytestmark = pytest.mark.usefixtures("no_logs")


def each_of(items: object, retry: dict[str, Any], **said: Any) -> Plan:
    """A group of two nodes for each item, whose items are tried again."""
    one = {"id": "one", "handler": "sum", "config": {"inputs": ["{{ item }}"]}}
    inner = group(
        "each", one, adds("two", "one"), map={"items": items, **said}, outputs={"sum": "{{ two.result }}"}
    )
    return plan_from(nodes=[{**inner, "retry": {"delay_seconds": 5, **retry}}, adds("z", after=("each",))])


def failing(node: str, tries: int, *items: int, code: str = "boom", permanent: bool = False) -> Script:
    """A script in which this node fails so often, counted from now on, in the children of these items: by the
    order in which they come."""
    order: dict[str, int] = {}
    failed: dict[str, int] = {}

    def script(context: Context) -> None:
        if context.node_id != node:
            return
        child = context.execution_id
        place = order.setdefault(child, len(order))
        if place in items and failed.get(child, 0) < tries:
            failed[child] = failed.get(child, 0) + 1
            raise HandlerError(code, "on purpose", permanent=permanent)

    return script


def items_of(harness: Harness, execution: str) -> list[ItemView]:
    """The items, as the API lists them."""
    page = harness.api.executions.items(
        execution, "each", statuses=frozenset(), begin=0, with_results=False, limit=50, cursor=None
    )
    return list(page.items)


def tries_of(harness: Harness, execution: str) -> list[int]:
    """The tries of each item: those of the one node that its child has, which stands for the group."""
    children = [item.child for item in items_of(harness, execution)]
    nodes = [harness.api.executions.status(child).nodes for child in children if isinstance(child, str)]
    return [node.attempt for (node,) in nodes]


def result(harness: Harness, execution: str) -> Any:
    """What the map gives."""
    return msgspec.json.decode(harness.api.executions.results(execution).results["each"])


def calls(harness: Harness) -> list[str]:
    """The nodes whose handlers were called."""
    return [context.node_id for worker in harness.workers for context in worker.invoker.calls]


def orchestrate(harness: Harness) -> None:
    """Let the orchestrators do all that they can without a worker."""
    while waiting := harness.waiting("orchestrator"):
        for entry in waiting:
            harness.deliver(harness.orchestrators[0], entry)


def until_quiet(harness: Harness) -> None:
    """Go on until nothing is left but what waits by a timer."""
    while harness.waiting("orchestrator", "worker"):
        orchestrate(harness)
        harness.run_tasks()


@pytest.mark.proves("item-apart")
def test_an_item_that_has_failed_goes_on_in_its_group(harness: Harness) -> None:
    """After a pause, in its place among those that run at a time; what has completed is not called again."""
    harness.script = failing("two", 2, 1)
    execution = harness.begin(each_of([0, 1, 2], {"max_attempts": 3}, max_concurrent=1))
    until_quiet(harness)
    assert [item.status for item in items_of(harness, execution)] == ["completed", "waiting", "pending"]
    harness.drain()
    assert harness.statuses(execution)["each"] == "completed"
    assert [each["sum"] for each in result(harness, execution)["result"]] == [2, 3, 4]
    assert tries_of(harness, execution) == [1, 3, 1]
    assert (calls(harness).count("one"), calls(harness).count("two")) == (3, 5)
    check_everything(harness.client)


@pytest.mark.proves("item-apart-again")
def test_the_next_run_has_all_tries_again(harness: Harness) -> None:
    """In the same executions, of which each goes on where it stopped."""
    harness.script = failing("two", 5, 0)
    execution = harness.begin(each_of([0, 1], {"max_attempts": 3}))
    harness.drain()
    assert harness.statuses(execution)["each"] == "failed"
    assert tries_of(harness, execution) == [3, 1]
    harness.trigger(execution)
    harness.drain()
    assert harness.statuses(execution)["each"] == "completed"
    assert tries_of(harness, execution) == [6, 1]
    assert (calls(harness).count("one"), calls(harness).count("two")) == (2, 7)
    check_everything(harness.client)


@pytest.mark.parametrize(
    ("retry", "permanent", "tries"),
    [
        ({"max_attempts": 3, "only": ["group_failed"]}, True, 3),
        ({"max_attempts": 3, "except": ["group_failed"]}, False, 1),
        ({"max_attempts": 3, "max_seconds": 1}, False, 1),
        ({"max_attempts": 2}, False, 2),
    ],
)
def test_a_policy_says_which_failures_are_tried_again(
    harness: Harness, retry: dict[str, Any], permanent: bool, tries: int
) -> None:
    """By the code of the group's failure, not of the node in it."""
    harness.script = failing("one", 9, 0, permanent=permanent)
    execution = harness.begin(each_of([0], retry))
    harness.drain()
    assert harness.statuses(execution)["each"] == "failed"
    assert tries_of(harness, execution) == [tries]
    check_everything(harness.client)


@pytest.mark.proves("item-apart-stopped")
@pytest.mark.parametrize("way", ["cancel", "pause"])
def test_an_item_that_waits_is_stopped_and_held(harness: Harness, way: str) -> None:
    """While it waits nothing of it runs; the next run, or the resume, goes on."""
    harness.script = failing("two", 1, 0)
    execution = harness.begin(each_of([0, 1], {"max_attempts": 2}))
    until_quiet(harness)
    if way == "cancel":
        harness.cancel(execution)
        harness.drain()
        assert harness.statuses(execution)["each"] == "cancelled"
        check_everything(harness.client)
        harness.trigger(execution)
    else:
        harness.api.executions.pause(execution)
        harness.end_pauses()
        orchestrate(harness)
        assert not harness.tasks()
        harness.api.executions.resume(execution)
    harness.drain()
    assert harness.statuses(execution)["each"] == "completed"
    assert calls(harness).count("two") == 3
    check_everything(harness.client)
