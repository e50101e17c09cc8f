"""Nodes that wait inside a group: they are addressed as nodes of the child execution that it runs as."""

from __future__ import annotations

from flowengine.execution.rules.waits.deciding import Answer
from flowengine.store import keys
from tests.integration.waits.test_engine_signals import carried, result_of
from tests.integration.waits.test_engine_waits import settle, view_of
from tests.support.checks.invariants import check_everything
from tests.support.group_plans import adds, group, plan_from
from tests.support.rigs.harness import Harness

WAITS_S = 60


def begin(harness: Harness, *nodes: dict[str, object]) -> tuple[str, str]:
    """An execution of a group of these nodes, and its child, once all waits in it."""
    execution = harness.begin(plan_from(nodes=[group("all", *nodes), adds("z", after=("all",))]))
    harness.start_executions()
    settle(harness)
    child = view_of(harness, execution, "all").child
    assert isinstance(child, str)
    return execution, child


def hears(node: str, **config: object) -> dict[str, object]:
    """A node that waits for a signal."""
    return {"id": node, "handler": "signal", "config": config}


def test_a_signal_goes_to_the_child_and_lets_the_parent_go_on(harness: Harness) -> None:
    """One that nobody takes goes when the executions go."""
    execution, child = begin(harness, hears("pay", names=["paid", "refused"]))
    harness.signal(child, "paid", b"7")
    harness.signal(child, "refused", b"8")
    settle(harness)
    assert harness.statuses(execution) == {"all": "completed", "z": "completed"}
    assert result_of(harness, child, "pay") == carried({"name": "paid", "payload": 7})
    left = keys.of().signals(child)
    assert harness.client.hlen(left)
    assert harness.client.ttl(left) > 0
    check_everything(harness.client)


def test_a_decision_inside_a_group_ends_its_node(harness: Harness) -> None:
    """What waits for a person names the child, which names its parent."""
    execution, child = begin(harness, {"id": "ask", "handler": "approval", "config": {"prompt": "?"}})
    (item,) = harness.api.executions.waiting(("approval",), limit=5, cursor="").items
    assert (item.execution_id, item.node) == (child, "ask")
    harness.api.executions.decide(child, "ask", Answer(approved=True))
    settle(harness)
    assert harness.statuses(execution) == {"all": "completed", "z": "completed"}
    check_everything(harness.client)


def test_a_time_inside_a_group_ends_by_its_timer(harness: Harness) -> None:
    """The parent's node shows as running meanwhile, and costs no worker."""
    execution, child = begin(harness, {"id": "rest", "handler": "wait", "config": {"seconds": WAITS_S}})
    assert harness.statuses(child) == {"rest": "waiting"}
    assert view_of(harness, execution, "all").status == "running"
    assert not harness.tasks()
    harness.drain()
    assert harness.statuses(execution) == {"all": "completed", "z": "completed"}
    check_everything(harness.client)


def test_a_cancel_of_the_root_ends_what_waits_in_its_children(harness: Harness) -> None:
    """Its timer goes with it."""
    execution, child = begin(harness, hears("pay"))
    harness.cancel(execution)
    settle(harness)
    assert harness.statuses(child) == {"pay": "cancelled"}
    assert not harness.client.exists(keys.of().timers("wait"))
    check_everything(harness.client)
