"""Maps of groups: each item runs as a child execution, from its making to the end of its map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from flowengine.broker.streams.wire import decode, post
from flowengine.execution.messages import RunNode
from flowengine.execution.requests.listing import Wanted as ListWanted
from flowengine.execution.rules.steering.overruling import Fail, Skip
from flowengine.execution.views.maps import ItemView
from flowengine.plugin import Context, HandlerError
from flowengine.queues import GROUP, ORCHESTRATOR_QUEUE, WORKER_QUEUE
from flowengine.store import keys
from flowengine.workflow.plan import Plan
from tests.support.checks.invariants import check_everything
from tests.support.group_plans import adds, group, plan_from
from tests.support.rigs.harness import Harness, Script

pytestmark = pytest.mark.usefixtures("no_logs")


def each_of(items: object, **said: Any) -> Plan:
    """`first` gives 1, `each` adds that to each item in a group of two nodes, `after` adds one to the sum."""
    inner = group(
        "each",
        {"id": "one", "handler": "sum", "config": {"inputs": ["{{ item }}", "{{ first.result }}"]}},
        adds("two", "one"),
        after=("first",),
        map={"items": items, **said},
        outputs={"key": "{{ item_key }}", "sum": "{{ two.result }}"},
    )
    total = {
        "id": "after",
        "handler": "sum",
        "config": {"inputs": "{{ each.result | reject('none') | map('sum') }}"},
        "dependencies": ["each"],
    }
    return plan_from(nodes=[adds("first"), inner, total])


def result(harness: Harness, execution: str, node: str = "each") -> Any:
    """What a node gives."""
    return msgspec.json.decode(harness.api.executions.results(execution).results[node])


def failing_children(node: str, *items: int, runs: int = 1) -> Script:
    """A script in which this node fails in the first runs of the children of these items."""
    counted: dict[str, int] = {}

    def script(context: Context) -> None:
        if (
            context.node_id == node
            and context.run <= runs
            and counted.setdefault(context.execution_id, len(counted)) in items
        ):
            raise HandlerError("boom", "on purpose")

    return script


@pytest.mark.parametrize("count", [0, 1, 3, 20])
@pytest.mark.proves("group-each")
def test_each_item_runs_as_a_child_of_its_own(harness: Harness, count: int) -> None:
    """Its nodes read the item and what is around the map; the results stand in the items' order."""
    execution = harness.begin(each_of(list(range(count)), max_concurrent=4))
    harness.drain()
    assert harness.statuses(execution) == {"first": "completed", "each": "completed", "after": "completed"}
    # two = one + 1 = (item + 1 + 1) + 1
    found = result(harness, execution)
    assert found["result"] == [{"key": str(item), "sum": item + 3} for item in range(count)]
    assert found["counts"] == {"total": count, "completed": count, "failed": 0, "cancelled": 0}
    assert result(harness, execution, "after") == {"result": 1 + sum(item + 3 for item in range(count))}
    assert len(check_everything(harness.client)) == count + 1


def children_of(harness: Harness, execution: str) -> list[str]:
    """The children of an execution."""
    listed = harness.api.executions.list(ListWanted(parent=execution), limit=100)
    return sorted(each.execution_id for each in listed.items)


def shown_items(harness: Harness, execution: str) -> Sequence[ItemView]:
    """What is shown of the items."""
    found = harness.api.executions.items(
        execution, "each", statuses=frozenset(), begin=0, with_results=True, limit=100, cursor=None
    )
    return found.items


def status(harness: Harness, execution: str) -> str:
    """The status of an execution."""
    return harness.api.executions.status(execution).status


def deliver_orchestrators(harness: Harness) -> None:
    """Deliver what waits for orchestrators, until nothing does."""
    while waiting := harness.waiting(ORCHESTRATOR_QUEUE):
        for entry in waiting:
            harness.deliver(harness.orchestrators[0], entry)


def until_waiting(harness: Harness, node: str, count: int) -> None:
    """Go on until so many tasks of this node wait for a worker."""
    for _ in range(200):
        deliver_orchestrators(harness)
        tasks = harness.waiting(WORKER_QUEUE)
        decoded = [msgspec.json.decode(task.payload, type=RunNode) for task in tasks]
        if sum(task.node == node for task in decoded) >= count:
            return
        others = [entry for entry, task in zip(tasks, decoded, strict=True) if task.node != node]
        for entry in others:
            harness.deliver(harness.workers[0], entry)
    raise AssertionError(f"{node} never waits {count} times")


@pytest.mark.proves("group-each-again")
def test_a_trigger_goes_on_in_the_children_that_have_failed(harness: Harness) -> None:
    """Each runs what has failed in it, and no item that has completed runs again."""
    harness.script = failing_children("two", 1, 3)
    execution = harness.begin(each_of([10, 20, 30, 40, 50], tolerated_failures=1))
    harness.drain()
    assert harness.statuses(execution) == {"first": "completed", "each": "failed", "after": "failed"}
    error = harness.api.executions.results(execution).errors["each"]
    assert error.code == "map_failed"
    assert "group_failed" in error.message
    children = children_of(harness, execution)
    before = harness.workers[0].invoker.calls.copy()
    harness.trigger(execution)
    harness.drain()
    assert result(harness, execution)["result"] == [
        {"key": str(index), "sum": item + 3} for index, item in enumerate([10, 20, 30, 40, 50])
    ]
    assert children_of(harness, execution) == children
    again = [context.node_id for context in harness.workers[0].invoker.calls[len(before) :]]
    assert sorted(again) == ["$outputs", "$outputs", "after", "two", "two"]
    runs = [harness.api.executions.status(child).run for child in children]
    assert sorted(runs) == [1, 1, 1, 2, 2]
    check_everything(harness.client)


@pytest.mark.proves("group-each")
def test_no_more_children_run_than_may(harness: Harness) -> None:
    """The end of one has the next one made."""
    execution = harness.begin(each_of(list(range(5)), max_concurrent=2))
    until_waiting(harness, "two", 2)
    assert len(children_of(harness, execution)) == 2
    assert len(harness.waiting(WORKER_QUEUE)) == 2
    harness.drain()
    assert status(harness, execution) == "completed"


@pytest.mark.proves("group-each-stopped")
def test_a_cancel_reaches_the_children(harness: Harness) -> None:
    """They are stopped first, then the map. A trigger goes on in them."""
    execution = harness.begin(each_of([1, 2, 3], max_concurrent=2))
    until_waiting(harness, "two", 2)
    children = children_of(harness, execution)
    assert harness.cancel(execution, "enough") == "cancelling"
    deliver_orchestrators(harness)
    harness.drain()
    for each in (execution, *children):
        assert status(harness, each) == "cancelled", each
    assert harness.statuses(execution) == {"first": "completed", "each": "cancelled", "after": "cancelled"}
    check_everything(harness.client)
    harness.trigger(execution)
    harness.drain()
    assert status(harness, execution) == "completed"
    assert set(children) < set(children_of(harness, execution))
    assert result(harness, execution)["result"] == [
        {"key": str(index), "sum": item + 3} for index, item in enumerate([1, 2, 3])
    ]
    # The third was made for the second run of its map, and has that number.
    runs = [harness.api.executions.status(child).run for child in children_of(harness, execution)]
    assert runs == [2, 2, 2]
    check_everything(harness.client)


@pytest.mark.proves("group-each-stopped")
def test_a_map_that_is_stopped_waits_for_its_children(harness: Harness) -> None:
    """It ends when the last of them has, whatever that takes."""
    seen: list[str] = []

    def script(context: Context) -> None:
        if context.node_id == "two" and not seen:
            harness.cancel(execution)
            deliver_orchestrators(harness)
            seen.append(harness.statuses(execution)["each"])

    harness.script = script
    execution = harness.begin(each_of([1, 2]))
    until_waiting(harness, "two", 2)
    harness.deliver(harness.workers[0], harness.waiting(WORKER_QUEUE)[0])
    assert seen == ["queued"]
    harness.drain()
    assert harness.statuses(execution) == {"first": "completed", "each": "cancelled", "after": "cancelled"}
    check_everything(harness.client)


@pytest.mark.proves("group-each-stopped")
def test_a_pause_holds_the_children_and_a_resume_lets_them_go_on(harness: Harness) -> None:
    """What was not made is made then."""
    execution = harness.begin(each_of([1, 2, 3], max_concurrent=2))
    until_waiting(harness, "one", 2)
    children = children_of(harness, execution)
    harness.api.executions.pause(execution)
    deliver_orchestrators(harness)
    assert [status(harness, child) for child in children] == ["paused", "paused"]
    harness.drain()
    assert children_of(harness, execution) == children
    assert all(harness.statuses(child) == {"one": "completed", "two": "pending"} for child in children)
    harness.api.executions.resume(execution)
    harness.drain()
    assert status(harness, execution) == "completed"
    check_everything(harness.client)


@pytest.mark.proves("group-each-stopped")
def test_an_item_is_made_after_a_pause_that_came_before(harness: Harness) -> None:
    """Its message has found that nothing may begin."""
    execution = harness.begin(each_of([1, 2, 3]))
    until_open(harness, execution)
    harness.api.executions.pause(execution)
    deliver_orchestrators(harness)
    harness.drain()
    assert children_of(harness, execution) == []
    harness.api.executions.resume(execution)
    harness.drain()
    assert status(harness, execution) == "completed"
    assert len(children_of(harness, execution)) == 3


def test_a_child_that_is_cancelled_alone_fails_its_item(harness: Harness) -> None:
    """The others go on."""
    execution = harness.begin(each_of([1, 2, 3], tolerated_failures=1))
    until_waiting(harness, "two", 3)
    harness.cancel(children_of(harness, execution)[1], "not this one")
    harness.drain()
    items = shown_items(harness, execution)
    assert sorted(item.status for item in items) == ["completed", "completed", "failed"]
    (failed,) = [item for item in items if item.status == "failed"]
    assert failed.error is not None
    assert failed.error.code == "child_cancelled"
    assert status(harness, execution) == "completed"


@pytest.mark.proves("group-each-stopped")
def test_an_operator_who_ends_the_map_stops_its_children(harness: Harness) -> None:
    """Nobody waits for them any more."""
    execution = harness.begin(each_of([1, 2]))
    until_waiting(harness, "two", 2)
    children = children_of(harness, execution)
    assert harness.overrule(execution, "each", Skip()) == "skipped"
    harness.drain()
    assert [status(harness, child) for child in children] == ["cancelled", "cancelled"]
    assert harness.statuses(execution) == {"first": "completed", "each": "skipped", "after": "skipped"}
    check_everything(harness.client)


def test_children_that_nobody_waits_for_go_with_their_root(harness: Harness) -> None:
    """While it goes on none of them has all looked at that is below it: its own end does that once."""
    nodes = [
        group("each", adds("one"), map={"items": [1, 2, 3]}),
        {"id": "rest", "handler": "signal", "config": {}},
    ]
    execution = harness.begin(plan_from(nodes=nodes))
    until_waiting(harness, "one", 3)
    children = children_of(harness, execution)
    harness.overrule(execution, "each", Skip())
    seen: list[str] = []
    while entries := [*harness.waiting(ORCHESTRATOR_QUEUE), *harness.tasks()]:
        for entry in entries:
            seen.append(entry.actor)
            process = harness.workers[0] if entry.actor == "run_node" else harness.orchestrators[0]
            harness.deliver(process, entry)
    assert [status(harness, child) for child in children] == ["cancelled"] * 3
    assert "keep_children" not in seen
    harness.signal(execution, "rest")
    harness.drain()
    assert status(harness, execution) == "completed"
    assert all(harness.client.ttl(keys.of().control(child)) > 0 for child in children)
    check_everything(harness.client)


def test_a_map_in_the_group_of_a_map_reads_both_items(harness: Harness) -> None:
    """Each by its own name, at any depth."""
    rows = [{"base": 100, "cells": [1, 2]}, {"base": 200, "cells": [3]}, {"base": 300, "cells": []}]
    inner = {
        "id": "inner",
        "map": {"items": "{{ row.cells }}", "as": "cell"},
        "nodes": [
            {
                "id": "cellwise",
                "handler": "sum",
                "config": {"inputs": ["{{ row.base }}", "{{ cell }}", "{{ row_index }}", "{{ cell_index }}"]},
            }
        ],
    }
    outer = group(
        "outer",
        inner,
        map={"items": rows, "as": "row"},
        outputs={"cells": "{{ inner.result | map('cellwise') }}"},
    )
    execution = harness.begin(plan_from(nodes=[outer]))
    harness.drain()
    assert result(harness, execution, "outer")["result"] == [
        {"cells": [102, 104]},
        {"cells": [205]},
        {"cells": []},
    ]
    check_everything(harness.client)


def test_deleting_the_root_removes_the_children_of_items(harness: Harness) -> None:
    """No key of any of them is left."""
    execution = harness.begin(each_of([1, 2, 3]))
    harness.drain()
    harness.delete(execution)
    harness.drain()
    assert list(harness.client.scan_iter("fe:x:*")) == []


@pytest.mark.proves("group-each-lost")
def test_the_sweep_has_the_children_of_items_made_whose_messages_are_gone(harness: Harness) -> None:
    """Once nothing moves from one sweep to the next."""
    execution = harness.begin(each_of([1, 2]))
    until_open(harness, execution)
    for lost in harness.waiting(ORCHESTRATOR_QUEUE):
        harness.client.xack(harness.stream(lost.queue), GROUP, lost.id)
        harness.client.xdel(harness.stream(lost.queue), lost.id)
    assert sum(harness.orchestrators[0].sweep.run() for _ in range(3)) == 2
    harness.drain()
    assert status(harness, execution) == "completed"


def until_open(harness: Harness, execution: str) -> None:
    """Go on until the items are known, and their messages wait."""
    for _ in range(50):
        if not isinstance(harness.api.executions.status(execution).nodes[1].map, msgspec.UnsetType):
            return
        for entry in harness.waiting(ORCHESTRATOR_QUEUE):
            harness.deliver(harness.orchestrators[0], entry)
        harness.run_tasks()
    raise AssertionError("the map is never opened")


@pytest.mark.proves("group-each-lost")
def test_the_sweep_stops_a_child_that_no_item_waits_for(harness: Harness) -> None:
    """The message of the operator's word has vanished."""
    execution = harness.begin(each_of([1, 2]))
    until_waiting(harness, "two", 2)
    children = children_of(harness, execution)
    harness.overrule(execution, "each", Skip())
    lose(harness, "tend_children")
    deliver_orchestrators(harness)
    assert [status(harness, child) for child in children] == ["running", "running"]
    lost = {entry.id for entry in harness.tasks()}
    for entry in harness.tasks():
        harness.client.xack(harness.stream(entry.queue), GROUP, entry.id)
        harness.client.xdel(harness.stream(entry.queue), entry.id)
    assert lost
    for _ in children:
        assert sum(harness.orchestrators[0].sweep.run() for _ in range(3)) > 0
        harness.drain()
    assert [status(harness, child) for child in children] == ["cancelled", "cancelled"]


def lose(harness: Harness, actor: str) -> None:
    """The messages of an actor vanish."""
    for lost in [entry for entry in harness.waiting(ORCHESTRATOR_QUEUE) if entry.actor == actor]:
        harness.client.xack(harness.stream(lost.queue), GROUP, lost.id)
        harness.client.xdel(harness.stream(lost.queue), lost.id)


def test_a_late_message_begins_no_item_before_its_turn(harness: Harness) -> None:
    """One of an earlier run of a child comes again after a trigger."""
    harness.script = failing_children("two", 0, 1)
    execution = harness.begin(each_of([1, 2], max_concurrent=1, tolerated_failures=1))
    harness.drain()
    items = shown_items(harness, execution)
    children = [str(item.child) for item in items]
    assert sorted(children) == children_of(harness, execution)
    harness.trigger(execution)
    until_waiting(harness, "two", 1)
    for item in items:
        late = {"execution": execution, "node": "each", "child": item.child, "run": 1, "item": item.index}
        payload = msgspec.json.encode({**late, "correlation_id": "late"})
        post(harness.client, ORCHESTRATOR_QUEUE, decode("tend_child", payload))
    deliver_orchestrators(harness)
    assert sum(harness.api.executions.status(child).run == 2 for child in children) == 1
    harness.drain()
    assert status(harness, execution) == "completed"


@pytest.mark.proves("group-each-time-over")
@pytest.mark.parametrize("held", [False, True])
def test_the_children_of_a_map_are_stopped_at_its_time(harness: Harness, held: bool) -> None:
    """The map fails when they have ended, however many may fail. A trigger has the time again, and goes on in
    the same children."""
    execution = harness.begin(
        each_of([10, 20, 30], max_concurrent=2, max_seconds=600, tolerated_failures="100%")
    )
    until_waiting(harness, "two", 2)
    children = children_of(harness, execution)
    if held:
        harness.api.executions.pause(execution)
        deliver_orchestrators(harness)
    assert harness.end_maps() == 1
    deliver_orchestrators(harness)
    assert [status(harness, child) for child in children] == ["cancelled", "cancelled"]
    assert status(harness, execution) == "failed"
    error = harness.api.executions.results(execution).errors["each"]
    words = "map.max_seconds (600 s) is over: 0 of 3 items have completed; 2 of 3 items failed"
    assert (error.code, error.message[: len(words)]) == ("timeout", words)
    items = shown_items(harness, execution)
    assert [item.status for item in items] == ["failed", "failed", "cancelled"]
    said = [item.error.message for item in items if item.error is not None]
    assert said == ["the map's max_seconds were over before it had ended"] * 2
    harness.drain()
    check_everything(harness.client)
    harness.trigger(execution)
    harness.drain()
    assert status(harness, execution) == "completed"
    assert [each["sum"] for each in result(harness, execution)["result"]] == [13, 23, 33]
    assert set(children) < set(children_of(harness, execution))
    check_everything(harness.client)


@pytest.mark.proves("group-each-time-over")
def test_a_child_that_completes_as_the_time_is_over_counts(harness: Harness) -> None:
    """It had ended before it could be stopped: the item has completed, and so has a map of which all have."""
    execution = harness.begin(each_of([10], max_seconds=600))
    until_waiting(harness, "two", 1)
    (task,) = harness.waiting(WORKER_QUEUE)
    harness.deliver(harness.workers[0], task)
    harness.end_maps()
    reports = [entry for entry in harness.waiting(ORCHESTRATOR_QUEUE) if entry.actor == "node_finished"]
    harness.deliver(harness.orchestrators[0], *reports)
    harness.drain()
    assert status(harness, execution) == "completed"
    assert result(harness, execution)["counts"]["completed"] == 1
    check_everything(harness.client)


@pytest.mark.proves("group-each-time-over")
def test_no_child_is_made_once_the_time_of_its_map_is_over(harness: Harness) -> None:
    """One that is about to be made finds the mark of the map; its item fails without it."""
    execution = harness.begin(each_of([10, 20], max_concurrent=2, max_seconds=600))
    until_open(harness, execution)
    tends = [entry for entry in harness.waiting(ORCHESTRATOR_QUEUE) if entry.actor == "tend_child"]
    assert len(tends) == 2
    second = harness.second_orchestrator()

    def over() -> None:
        harness.end_maps(by=1)
        timers = [entry for entry in harness.waiting(ORCHESTRATOR_QUEUE) if entry.actor == "timer_fired"]
        harness.deliver(second, *timers)

    harness.orchestrators[0].state.between = over
    harness.deliver(harness.orchestrators[0], tends[0])
    harness.orchestrators[0].state.between = None
    harness.drain()
    assert children_of(harness, execution) == []
    assert status(harness, execution) == "failed"
    said = [item.error.message for item in shown_items(harness, execution) if item.error is not None]
    assert said == ["the map's max_seconds were over before its turn came"] * 2
    check_everything(harness.client)
    harness.trigger(execution)
    harness.drain()
    assert status(harness, execution) == "completed"


@pytest.mark.proves("group-each-time-over")
@pytest.mark.parametrize("who", ["root", "child"])
def test_a_cancel_before_the_time_of_a_map_is_over_is_told_as_one(harness: Harness, who: str) -> None:
    """The timer finds children that are being stopped already."""
    execution = harness.begin(each_of([10, 20], max_seconds=600, tolerated_failures=1))
    until_waiting(harness, "two", 2)
    children = children_of(harness, execution)
    harness.cancel(execution if who == "root" else children[0])
    harness.drain()
    wanted = "cancelled" if who == "root" else "completed"
    assert status(harness, execution) == wanted
    assert harness.end_maps() == 0
    check_everything(harness.client)


@pytest.mark.proves("group-each-lost")
@pytest.mark.parametrize("lost", ["timer_fired", "tend_children", "tend_child"])
def test_the_sweep_stops_children_whose_map_has_no_time_left(harness: Harness, lost: str) -> None:
    """The message of its timer has vanished, or one that follows from it."""
    execution = harness.begin(each_of([10, 20], max_seconds=600))
    until_waiting(harness, "two", 2)
    children = children_of(harness, execution)
    harness.end_maps()
    while lost not in (kinds := [entry.actor for entry in harness.waiting(ORCHESTRATOR_QUEUE)]):
        assert kinds
        harness.deliver(harness.orchestrators[0], harness.waiting(ORCHESTRATOR_QUEUE)[0])
    lose(harness, lost)
    deliver_orchestrators(harness)
    assert [status(harness, child) for child in children] == ["running", "running"]
    assert sum(harness.orchestrators[0].sweep.run() for _ in range(3)) > 0
    harness.fire_timers()
    deliver_orchestrators(harness)
    assert [status(harness, child) for child in children] == ["cancelled", "cancelled"]
    assert status(harness, execution) == "failed"


@pytest.mark.proves("group-overruled")
def test_the_children_of_an_overruled_map_are_stopped_though_a_new_run_has_begun(harness: Harness) -> None:
    """The message that has them looked after comes only then. They are stopped without the sweep."""
    execution = harness.begin(each_of([1, 2]))
    until_waiting(harness, "two", 2)
    children = children_of(harness, execution)
    harness.overrule(execution, "each", Fail())
    late = [entry for entry in harness.waiting(ORCHESTRATOR_QUEUE) if entry.actor == "tend_children"]
    while others := [entry for entry in harness.waiting(ORCHESTRATOR_QUEUE) if entry.id != late[0].id]:
        harness.deliver(harness.orchestrators[0], others[0])
    assert status(harness, execution) == "failed"
    harness.trigger(execution)
    harness.deliver(harness.orchestrators[0], late[0])
    while tends := [entry for entry in harness.waiting(ORCHESTRATOR_QUEUE) if entry.actor == "tend_child"]:
        harness.deliver(harness.orchestrators[0], tends[0])
    stops = [harness.api.executions.status(child).status for child in children]
    assert stops == ["cancelling", "cancelling"]
    harness.drain()
    assert status(harness, execution) == "completed"
    check_everything(harness.client)


@pytest.mark.proves("group-reads-map")
@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("depth", [1, 2])
def test_nodes_of_a_group_read_a_map_outside(harness: Harness, apart: bool, depth: int) -> None:
    """Its results, its items and its numbers, from any depth; whether its items are tasks or children."""
    add = {"id": "n", "handler": "sum", "config": {"inputs": ["{{ item }}"]}, "map": {"items": [1, 2, 3]}}
    each: dict[str, Any] = {**add, "repeat": {"until": "{{ true }}"}} if apart else add
    value = ["{{ n.result | sum }}", "{{ n.counts.completed }}", "{{ n['items'] | map('key') | first }}"]
    inside: dict[str, Any] = {"id": "reader", "handler": "sum", "config": {"inputs": value[:2]}}
    for level in range(depth):
        inside = group(f"g{level}", inside, after=("n",) if level == depth - 1 else ())
    inside["outputs"] = {"keys": "{{ n.result }}", "first": value[2]}
    execution = harness.begin(plan_from(nodes=[each, inside]))
    harness.drain()
    assert status(harness, execution) == "completed"
    found = result(harness, execution, f"g{depth - 1}")["result"]
    given = [2, 3, 4] if not apart else found["keys"]
    assert found == {"keys": given, "first": "0"}
    assert len(given) == 3
    ran = next(context for context in harness.workers[0].invoker.calls if context.node_id == "reader")
    assert ran.execution_id != execution
    check_everything(harness.client)


@pytest.mark.proves("group-reads-map")
def test_a_map_that_ends_after_a_group_began_stays_undefined_in_it(harness: Harness) -> None:
    """As any node outside: what is read is as it was when the group began, also by a later node."""
    slow = {"id": "n", "handler": "sum", "config": {"inputs": ["{{ item }}"]}, "map": {"items": [1]}}
    seen = {"id": "reader", "handler": "sum", "config": {"inputs": ["{{ n.result | default([7]) | sum }}"]}}
    early = group("g", adds("wait"), {**seen, "dependencies": ["wait"]}, after=("a", "n"))
    early["trigger_rule"] = "one_success"
    execution = harness.begin(plan_from(nodes=[adds("a"), slow, early]))
    deliver_orchestrators(harness)
    for _ in range(6):
        for entry in harness.waiting(WORKER_QUEUE):
            if msgspec.json.decode(entry.payload, type=RunNode).node in ("a", "g"):
                harness.deliver(harness.workers[0], entry)
        deliver_orchestrators(harness)
    (child,) = children_of(harness, execution)
    harness.drain()
    assert msgspec.json.decode(harness.api.executions.results(child).results["reader"]) == {"result": 8}
    check_everything(harness.client)
