"""Maps: items become known, run a bounded number at a time, and end their node, whatever comes twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from flowengine.engine.commands.rerun import RerunAsked
from flowengine.execution.messages import RunNode
from flowengine.execution.rules.dispatching import Sizes
from flowengine.execution.rules.maps.progress import WINDOW
from flowengine.execution.rules.steering.overruling import Complete
from flowengine.execution.rules.steering.rerunning import Wanted
from flowengine.execution.views.executions import NULL
from flowengine.execution.views.maps import ItemPage, ItemStatus, MapView
from flowengine.plugin import Context, HandlerError
from flowengine.queues import GROUP, ORCHESTRATOR_QUEUE, WORKER_QUEUE
from flowengine.store import keys
from flowengine.workflow.maps.policy import MapPolicy
from flowengine.workflow.plan import Plan, PlanNode, Task
from flowengine.workflow.policy import Policy, Retry
from tests.support.checks.invariants import check_everything
from tests.support.rigs.harness import Entry, Harness, Script
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("no_logs")


def map_plan(items: object, *, tolerates: bool = False, name: str = "item", **spec: object) -> Plan:
    """`each` adds one to each item, and `after` adds one to the sum of what came of that."""
    said = MapPolicy(msgspec.json.encode({"items": items, **spec}).decode(), name)
    config = msgspec.Raw(msgspec.json.encode({"inputs": [f"{{{{ {name} }}}}"]}))
    total = msgspec.Raw(msgspec.json.encode({"inputs": "{{ each.result | reject('none') }}"}))
    each = PlanNode("each", (), Task("sum", config, (), 300_000, WORKER_QUEUE))
    after = PlanNode("after", (0,), Task("sum", total, (0,), 300_000, WORKER_QUEUE))
    return Plan("maps", (each, after), {0: Policy(map=said, tolerates=tolerates)})


def failing_items(*keys: str) -> Script:
    """A script in which these items fail."""

    def script(context: Context) -> None:
        if any(context.idempotency_key.endswith(f"-each-{key}") for key in keys):
            raise HandlerError("boom", f"{context.idempotency_key} failed on purpose")

    return script


def items_in(entries: Sequence[Entry]) -> list[int]:
    """The items whose tasks these are."""
    tasks = [msgspec.json.decode(entry.payload, type=RunNode) for entry in entries]
    return [task.item.index for task in tasks if task.item is not None]


def output(harness: Harness, execution: str, node: str = "each") -> Any:
    """What a node gives."""
    return msgspec.json.decode(harness.api.executions.results(execution).results[node])


@pytest.mark.parametrize("count", [0, 1, 5, WINDOW + 44])
def test_every_item_runs_once_and_results_stand_in_the_items_order(harness: Harness, count: int) -> None:
    """Whatever their number, and however many fit into one transaction."""
    harness.resize(Sizes(chunk_nodes=7))
    execution = harness.begin(map_plan(list(range(count))))
    harness.drain()
    assert harness.statuses(execution) == {"each": "completed", "after": "completed"}
    assert output(harness, execution) == {
        "result": [item + 1 for item in range(count)],
        "counts": {"total": count, "completed": count, "failed": 0, "cancelled": 0},
    }
    assert harness.results(execution)["after"] == 1 + sum(item + 1 for item in range(count))
    calls = [context for worker in harness.workers for context in worker.invoker.calls]
    assert len(calls) == count + 1


@pytest.mark.proves("map-at-once")
def test_no_more_items_are_in_flight_than_may_be_and_always_so_many(harness: Harness) -> None:
    """The end of one sends the next one, at once."""
    execution = harness.begin(map_plan(list(range(7)), max_concurrent=3))
    harness.start_executions()
    harness.run_tasks()
    harness.deliver(harness.orchestrators[0], *harness.callbacks())
    seen = []
    while tasks := harness.tasks():
        seen.append(items_in(tasks))
        if not items_in(tasks):
            break
        harness.deliver(harness.workers[0], tasks[0])
        harness.deliver(harness.orchestrators[0], *harness.callbacks())
    assert seen[:5] == [[0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5], [4, 5, 6]]
    assert harness.statuses(execution)["each"] == "completed"


@pytest.mark.parametrize(("waits", "sent"), [(False, WINDOW), (True, 3 * WINDOW)])
def test_more_items_are_in_flight_at_once_that_need_no_thread(
    harness: Harness, *, waits: bool, sent: int
) -> None:
    """A worker takes hundreds of these together, and no more of the others than it has threads."""
    plan = map_plan(list(range(3 * WINDOW)))
    (each, after) = plan.nodes
    later = replace(each.work, handler="later_sum") if waits else each.work
    waiting = frozenset({0}) if waits else frozenset()
    harness.begin(replace(plan, nodes=(replace(each, work=later), after), waiting=waiting))
    harness.start_executions()
    harness.run_tasks()
    harness.deliver(harness.orchestrators[0], *harness.callbacks())
    assert items_in(harness.tasks()) == list(range(sent))


@pytest.mark.proves("map-failures")
def test_too_many_failures_end_the_map_once_what_runs_has_ended(harness: Harness) -> None:
    """Nothing more starts, not even in the place of what has failed."""
    execution = harness.begin(map_plan(list(range(6)), max_concurrent=2, tolerated_failures=1))
    harness.script = failing_items("0", "1")
    harness.drain(batch=1)
    view = harness.api.executions.status(execution).nodes[0]
    assert (view.status, view.error and view.error.code) == ("failed", "map_failed")
    assert view.error is not None
    assert view.error.caused_by == "0"
    assert view.error.message.startswith("2 of 6 items failed, 1 may: '0', '1'; '0' with boom")
    calls = [context.idempotency_key.rpartition("-")[2] for context in harness.workers[0].invoker.calls]
    assert sorted(calls) == ["0", "1", "2"]
    assert harness.statuses(execution)["after"] == "failed"


@pytest.mark.parametrize(
    ("tolerated", "failing", "status"),
    [
        (0, 1, "failed"),
        (2, 2, "completed"),
        ("40%", 2, "completed"),
        ("39%", 2, "failed"),
        ("100%", 5, "completed"),
    ],
)
def test_tolerated_failures_are_a_number_or_a_share(
    harness: Harness, tolerated: object, failing: int, status: str
) -> None:
    """A share is rounded down; null stands where an item has failed."""
    execution = harness.begin(map_plan(list(range(5)), tolerated_failures=tolerated))
    harness.script = failing_items(*map(str, range(failing)))
    harness.drain()
    assert harness.statuses(execution)["each"] == status
    if status == "completed":
        assert output(harness, execution)["result"][:failing] == [None] * failing


@pytest.mark.proves("map-time-over")
def test_a_map_whose_time_is_over_ends_with_what_runs(harness: Harness) -> None:
    """The item that runs is cut, and none begins after it, though all may fail. A second run has the time
    again, and runs what is left."""
    execution = harness.begin(map_plan([1, 2, 3], max_concurrent=1, tolerated_failures="100%", max_seconds=1))

    def takes_long(context: Context) -> None:
        if context.node_id == "each" and context.run == 1:
            wait_until(lambda: context.remaining_seconds() == 0)

    harness.script = takes_long
    harness.drain()
    error = harness.api.executions.results(execution).errors["each"]
    assert (error.code, error.caused_by) == ("timeout", "0")
    words = "map.max_seconds (1 s) is over: 0 of 3 items have completed; 1 of 3 items failed"
    assert error.message.startswith(words)
    assert statuses(harness, execution) == ["failed", "cancelled", "cancelled"]
    harness.trigger(execution)
    harness.drain()
    assert statuses(harness, execution) == ["completed"] * 3


@pytest.mark.proves("map-time-over")
@pytest.mark.parametrize("held", [False, True])
def test_a_map_whose_tasks_nobody_takes_ends_at_its_time(harness: Harness, held: bool) -> None:
    """Also while its execution is paused. A task that a worker takes later runs nothing and counts for
    nothing; a second run runs all of it."""
    ran: list[str] = []
    harness.script = lambda context: ran.append(context.node_id)
    execution = harness.begin(map_plan([1, 2, 3], max_concurrent=2, max_seconds=1))
    harness.start_executions()
    harness.run_tasks()
    harness.deliver(harness.orchestrators[0], *harness.callbacks())
    late = harness.tasks()
    assert items_in(late) == [0, 1]
    if held:
        harness.api.executions.pause(execution)
    assert harness.end_maps() == 1
    deliver_orchestrators(harness)
    assert harness.statuses(execution)["each"] == "failed"
    results = harness.api.executions.results(execution)
    assert results.status == "failed"
    assert results.errors["each"].code == "timeout"
    assert results.errors["each"].message == "map.max_seconds (1 s) is over: 0 of 3 items have completed"
    wait_until(lambda: harness.orchestrators[0].state.now() >= _until(late[0]))
    harness.run_tasks()
    deliver_orchestrators(harness)
    assert (ran, statuses(harness, execution)) == ([], ["cancelled"] * 3)
    assert harness.end_maps() == 0
    check_everything(harness.client)
    harness.trigger(execution)
    harness.drain()
    assert statuses(harness, execution) == ["completed"] * 3


def _until(entry: Entry) -> int:
    """When the time of the map is over, as a task of it says."""
    return msgspec.json.decode(entry.payload, type=RunNode).until


def deliver_orchestrators(harness: Harness) -> None:
    """Deliver what waits for orchestrators, until nothing does."""
    while waiting := harness.waiting(ORCHESTRATOR_QUEUE):
        for entry in waiting:
            harness.deliver(harness.orchestrators[0], entry)


@pytest.mark.proves("map-time-over")
def test_a_map_whose_time_is_over_waits_for_what_runs_and_for_its_reports(harness: Harness) -> None:
    """The timer comes again while the start of an item is noted, and while a report waits. What had
    completed counts."""
    at_work: list[str] = []

    def script(context: Context) -> None:
        if context.node_id != "each" or at_work:
            return
        at_work.append("noted")
        harness.end_maps()
        deliver_orchestrators(harness)
        at_work.append(harness.statuses(execution)["each"])

    harness.script = script
    execution = harness.begin(map_plan([1, 2, 3], max_concurrent=2, max_seconds=600))
    harness.start_executions()
    harness.run_tasks()
    harness.deliver(harness.orchestrators[0], *harness.callbacks())
    first, _ = harness.tasks()
    harness.deliver(harness.workers[0], first)
    assert at_work == ["noted", "queued"]
    (report,) = harness.callbacks()
    state, sent_at = harness.orchestrators[0].state, int(report.id.partition(b"-")[0])
    assert (state.may_hold_reports(sent_at + 1), state.may_hold_reports(1)) == (True, False)
    harness.end_maps()
    for entry in harness.waiting(ORCHESTRATOR_QUEUE):
        if entry.actor == "timer_fired":
            harness.deliver(harness.orchestrators[0], entry)
    assert harness.statuses(execution)["each"] == "queued"
    harness.deliver(harness.orchestrators[0], report)
    assert harness.end_maps() == 1
    deliver_orchestrators(harness)
    error = harness.api.executions.results(execution).errors["each"]
    assert error.message == "map.max_seconds (600 s) is over: 1 of 3 items have completed"
    assert statuses(harness, execution) == ["completed", "cancelled", "cancelled"]


@pytest.mark.proves("map-time-over")
@pytest.mark.parametrize("way", ["ended", "stopped", "overruled", "emptied"])
def test_the_timer_of_a_map_goes_with_its_end(harness: Harness, way: str) -> None:
    """However it ends."""
    execution = harness.begin(map_plan([] if way == "emptied" else [1, 2], max_seconds=600))
    harness.start_executions()
    harness.run_tasks()
    harness.deliver(harness.orchestrators[0], *harness.callbacks())
    assert harness.client.zcard(harness.keys.timers("map")) == (way != "emptied")
    if way == "stopped":
        harness.cancel(execution)
    if way == "overruled":
        harness.overrule(execution, "each", Complete(msgspec.Raw(b'{"result":[1]}')))
    harness.drain()
    assert harness.client.zcard(harness.keys.timers("map")) == 0
    check_everything(harness.client)


@pytest.mark.proves("map-message-lost")
def test_the_sweep_arms_the_timer_of_a_map_again(harness: Harness) -> None:
    """It has vanished, and nobody takes its tasks."""
    execution = harness.begin(map_plan([1, 2], max_seconds=600))
    harness.start_executions()
    harness.run_tasks()
    harness.deliver(harness.orchestrators[0], *harness.callbacks())
    harness.client.delete(harness.keys.timers("map"))
    sweep = harness.orchestrators[0].sweep
    assert sum(sweep.run() for _ in range(3)) == 1
    assert harness.end_maps() == 1
    deliver_orchestrators(harness)
    assert harness.statuses(execution)["each"] == "failed"


@pytest.mark.proves("map-time-over")
def test_items_that_are_cut_fail_the_map_however_many_may_fail(harness: Harness) -> None:
    """Also where all had begun in time. Their errors say whose time was over."""
    execution = harness.begin(map_plan([1, 2], tolerated_failures="100%", max_seconds=1))

    def takes_long(context: Context) -> None:
        if context.node_id == "each":
            wait_until(lambda: context.remaining_seconds() == 0)

    harness.script = takes_long
    harness.drain()
    error = harness.api.executions.results(execution).errors["each"]
    assert error.code == "timeout"
    assert error.message.startswith("map.max_seconds (1 s) is over: 0 of 2 items have completed; 2 of 2")
    assert "max_seconds were over before it" in error.message
    assert statuses(harness, execution) == ["failed", "failed"]


def test_an_object_is_mapped_by_its_members(harness: Harness) -> None:
    """Items are objects of key and value, then."""
    plan = map_plan({"a": 1, "b": 2}, key="{{ item.key }}")
    node = plan.nodes[0]
    config = msgspec.Raw(msgspec.json.encode({"inputs": ["{{ item.value }}"]}))
    task = msgspec.structs.replace(node.work, config=config)
    plan = msgspec.structs.replace(plan, nodes=(msgspec.structs.replace(node, work=task), plan.nodes[1]))
    execution = harness.begin(plan)
    harness.drain()
    assert output(harness, execution)["result"] == [2, 3]
    assert sorted(c.idempotency_key[-6:] for c in harness.workers[0].invoker.calls[:2]) == [
        "each-a",
        "each-b",
    ]


@pytest.mark.parametrize(
    ("items", "spec"),
    [
        ("{{ 1 }}", {}),
        ([1, 1], {"key": "{{ item }}"}),
        ([1], {"max_concurrent": "{{ 'x' }}"}),
        ([1], {"tolerated_failures": "{{ -1 }}"}),
    ],
)
def test_a_map_that_gives_no_list_fails_its_node(
    harness: Harness, items: object, spec: dict[str, Any]
) -> None:
    """So do keys that are not unique, and numbers that are none."""
    execution = harness.begin(map_plan(items, **spec))
    harness.drain()
    error = harness.api.executions.status(execution).nodes[0].error
    assert error is not None
    assert error.code == "map_invalid"


@pytest.mark.proves("map-report-twice")
def test_reports_that_come_twice_count_once(harness: Harness) -> None:
    """Of the map's own task and of items, together with the first and later."""
    execution = harness.begin(map_plan([1, 2, 3], max_concurrent=2))
    harness.start_executions()
    harness.run_tasks()
    (expanded,) = harness.callbacks()
    harness.deliver(harness.orchestrators[0], expanded)
    again = Repeater(harness)
    again.keep(expanded)
    again.send_all()
    harness.run_tasks()
    for entry in harness.callbacks():
        again.keep(entry)
    again.send_all()
    harness.drain()
    again.send_all()
    harness.drain()
    assert output(harness, execution)["result"] == [2, 3, 4]
    assert len(harness.workers[0].invoker.calls) == 4


class Repeater:
    """Sends messages again."""

    def __init__(self, harness: Harness) -> None:
        self._harness = harness
        self._kept: list[Entry] = []

    def keep(self, entry: Entry) -> None:
        """Remember it."""
        self._kept.append(entry)

    def send_all(self) -> None:
        """Send copies of all of them."""
        for entry in self._kept:
            self._harness.client.xadd(
                self._harness.stream(entry.queue), {"a": entry.actor, "p3": entry.payload}
            )


@pytest.mark.proves("map-false-failure")
def test_a_failed_item_counts_as_completed_where_it_had_completed_before(harness: Harness) -> None:
    """What is noted as failed by a report that came too late does not fail the map."""
    execution = harness.begin(map_plan([1, 2]))
    harness.start_executions()
    harness.run_tasks()
    harness.deliver(harness.orchestrators[0], *harness.callbacks())
    harness.client.hset(harness.keys.map(execution, "each"), "f:0", 1)
    harness.drain()
    assert harness.statuses(execution)["each"] == "completed"


@pytest.mark.proves("map-at-once")
def test_two_orchestrators_send_each_item_once(harness: Harness) -> None:
    """One that finds that another has sent has less to do."""
    harness.second_orchestrator()
    execution = harness.begin(map_plan(list(range(9)), max_concurrent=2))
    harness.start_executions()
    harness.run_tasks()
    first, second = harness.orchestrators
    harness.deliver(first, *harness.callbacks())
    harness.run_tasks()
    one, other = harness.callbacks()
    first.state.skipped = 1
    first.state.between = lambda: harness.deliver(second, other)
    harness.deliver(first, one)
    assert items_in(harness.tasks()) == [2, 3]
    harness.drain()
    assert output(harness, execution)["result"] == list(range(1, 10))


@pytest.mark.proves("map-paused")
def test_a_paused_execution_sends_no_item_and_goes_on_at_its_resume(harness: Harness) -> None:
    """What runs ends and counts."""
    execution = harness.begin(map_plan(list(range(5)), max_concurrent=2))
    harness.start_executions()
    harness.run_tasks()
    harness.deliver(harness.orchestrators[0], *harness.callbacks())
    harness.api.executions.pause(execution)
    harness.drain()
    assert len(harness.workers[0].invoker.calls) == 2
    harness.api.executions.resume(execution)
    harness.drain()
    assert output(harness, execution)["result"] == [1, 2, 3, 4, 5]


def test_a_cancelled_map_ends_when_what_runs_has_ended(harness: Harness) -> None:
    """What had not begun never does; a second run begins anew."""
    execution = harness.begin(map_plan(list(range(5)), max_concurrent=2))
    harness.start_executions()
    harness.run_tasks()
    harness.deliver(harness.orchestrators[0], *harness.callbacks())
    harness.cancel(execution)
    harness.drain()
    assert harness.statuses(execution) == {"each": "cancelled", "after": "cancelled"}
    assert harness.workers[0].invoker.calls == []
    harness.trigger(execution)
    harness.drain()
    assert output(harness, execution)["result"] == [1, 2, 3, 4, 5]


@pytest.mark.proves("map-stopped")
def test_a_cancelled_map_waits_for_the_items_that_run(harness: Harness) -> None:
    """They say themselves that they have stopped, or have ended."""
    execution = harness.begin(map_plan(list(range(3)), max_concurrent=2))
    harness.start_executions()
    harness.run_tasks()
    harness.deliver(harness.orchestrators[0], *harness.callbacks())
    first = harness.tasks()[0]
    seen: list[str] = []

    def cancel(context: Context) -> None:
        harness.script = lambda context: None
        harness.cancel(execution)
        for entry in harness.waiting("orchestrator"):
            harness.deliver(harness.orchestrators[0], entry)
        seen.append(harness.api.executions.status(execution).nodes[0].status)

    harness.script = cancel
    harness.deliver(harness.workers[0], first)
    harness.drain()
    assert seen == ["running"]
    assert harness.statuses(execution)["each"] == "cancelled"


@pytest.mark.corrupts
def test_whether_items_run_is_asked_without_reading_all_that_run(harness: Harness) -> None:
    """Each report of a map that is stopped asks: of five thousand items that would be millions of notes."""
    started = harness.keys.started("x")
    harness.client.hset(started, mapping={f"each#{index}:3": "1|1|1-0/w" for index in range(5000)})
    state = harness.orchestrators[0].state
    harness.client.config_resetstat()
    assert state.has_items_begun("x", "each", 3)
    scans = harness.client.info("commandstats")["cmdstat_hscan"]
    assert scans["calls"] == 1
    assert not state.has_items_begun("x", "each", 2)
    assert not state.has_items_begun("x", "other", 3)
    harness.client.delete(started)


def test_an_operator_ends_an_open_map(harness: Harness) -> None:
    """Its items that still run are stale, and nothing else is sent."""
    execution = harness.begin(map_plan(list(range(5)), max_concurrent=2))
    harness.start_executions()
    harness.run_tasks()
    harness.deliver(harness.orchestrators[0], *harness.callbacks())
    assert not harness.client.exists(keys.of().stopping)
    harness.overrule(execution, "each", Complete(msgspec.Raw(b'{"result":[41]}')))
    assert harness.client.exists(keys.of().stopping), "workers are to look whether the items are wanted"
    harness.drain()
    assert harness.results(execution) == {"each": [41], "after": 42}


def ran(harness: Harness) -> list[str]:
    """The keys of the items that have run since this was asked, sorted."""
    calls = harness.workers[0].invoker.calls
    found = [context.idempotency_key.partition("-each-")[2] for context in calls if context.node_id == "each"]
    calls.clear()
    return sorted(found)


@pytest.mark.proves("map-again")
def test_a_second_run_runs_what_has_failed_and_no_more(harness: Harness) -> None:
    """The list stays; results stand in the items' order, those of the first run among them."""
    execution = harness.begin(map_plan(list(range(6))))
    harness.script = failing_items("2", "4")
    harness.drain()
    assert harness.statuses(execution) == {"each": "failed", "after": "failed"}
    assert ran(harness) == ["0", "1", "2", "3", "4", "5"]
    harness.script = failing_items("4")
    harness.trigger(execution)
    harness.drain()
    assert (harness.statuses(execution)["each"], ran(harness)) == ("failed", ["2", "4"])
    harness.script = lambda context: None
    harness.trigger(execution)
    harness.drain()
    assert ran(harness) == ["4"]
    assert output(harness, execution) == {
        "result": [1, 2, 3, 4, 5, 6],
        "counts": {"total": 6, "completed": 6, "failed": 0, "cancelled": 0},
    }


@pytest.mark.proves("map-again")
def test_a_second_run_runs_what_was_cancelled(harness: Harness) -> None:
    """What had not been sent, too; no more at a time than may."""
    execution = harness.begin(map_plan(list(range(6)), max_concurrent=2))
    harness.start_executions()
    harness.run_tasks()
    harness.deliver(harness.orchestrators[0], *harness.callbacks())
    harness.deliver(harness.workers[0], harness.tasks()[1])
    harness.deliver(harness.orchestrators[0], *harness.callbacks())
    harness.cancel(execution)
    harness.drain()
    assert (harness.statuses(execution)["each"], ran(harness)) == ("cancelled", ["1"])
    harness.trigger(execution)
    harness.drain()
    assert ran(harness) == ["0", "2", "3", "4", "5"]
    assert output(harness, execution)["result"] == [1, 2, 3, 4, 5, 6]


@pytest.mark.proves("map-again")
def test_all_items_run_again_where_something_above_does(harness: Harness) -> None:
    """The list may be another one then."""
    plan = map_plan("{{ list.result }}")
    numbers = PlanNode("list", (), Task("list", msgspec.Raw(b'{"inputs":[]}'), (), 300_000, WORKER_QUEUE))
    each, after = plan.nodes
    each = msgspec.structs.replace(each, parents=(0,), work=msgspec.structs.replace(each.work, reads=(0,)))
    after = msgspec.structs.replace(after, parents=(1,), work=msgspec.structs.replace(after.work, reads=(1,)))
    plan = Plan("maps", (numbers, each, after), {1: plan.policies[0]})
    execution = harness.begin(plan)
    harness.script = failing_items("1")
    harness.drain()
    assert ran(harness) == ["0", "1", "2"]
    harness.script = lambda context: None
    asked = RerunAsked(Wanted("from", ("list",)))
    harness.api.executions.rerun(execution, asked)
    harness.drain()
    assert ran(harness) == ["0", "1", "2"]
    assert output(harness, execution)["result"] == [2, 3, 4]


def test_an_item_is_tried_again_after_its_pause(harness: Harness) -> None:
    """It keeps its place among those that run at a time; the tries that fail do not fail the map."""
    plan = map_plan(list(range(4)), max_concurrent=2)
    policy = msgspec.structs.replace(plan.policies[0], retry=Retry(max_attempts=3))
    execution = harness.begin(msgspec.structs.replace(plan, policies={0: policy}))
    tries: list[tuple[str, int]] = []

    def script(context: Context) -> None:
        key = context.idempotency_key.partition("-each-")[2]
        if context.node_id == "each":
            tries.append((key, context.attempt))
        if key == "0" and context.attempt < 3:
            raise HandlerError("boom", "on purpose")

    harness.script = script
    harness.start_executions()
    harness.run_tasks()
    harness.deliver(harness.orchestrators[0], *harness.callbacks())
    for _ in range(3):
        harness.run_tasks()
        harness.deliver(harness.orchestrators[0], *harness.callbacks())
    assert tries == [("0", 1), ("1", 1), ("2", 1), ("3", 1)]
    assert harness.client.exists(harness.keys.item_try(execution, "each", 0))
    harness.drain()
    assert tries[4:] == [("0", 2), ("0", 3)]
    assert output(harness, execution)["result"] == [1, 2, 3, 4]
    assert not harness.client.exists(harness.keys.item_try(execution, "each", 0))


@pytest.mark.parametrize("named", [False, True])
def test_an_item_that_is_stopped_between_its_tries_is_another_call_for_its_service(
    harness: Harness, named: bool
) -> None:
    """Its service has answered the first try: the key of that would bring the same answer again."""
    plan = map_plan([1, 2])
    policy = msgspec.structs.replace(plan.policies[0], retry=Retry(max_attempts=2))
    execution = harness.begin(msgspec.structs.replace(plan, policies={0: policy}))
    used: list[str] = []

    def script(context: Context) -> None:
        if context.idempotency_key.endswith("-each-1"):
            used.append(context.idempotency_key.removeprefix(execution))
            if context.run == 1:
                raise HandlerError("boom", "on purpose")

    harness.script = script
    while not used:
        harness.deliver(harness.orchestrators[0], harness.waiting(ORCHESTRATOR_QUEUE)[0])
        harness.run_tasks()
    harness.deliver(harness.orchestrators[0], *harness.callbacks())
    harness.cancel(execution)
    harness.drain()
    if named:
        harness.api.executions.rerun(execution, RerunAsked(Wanted("from", items={"each": ("1",)})))
    else:
        harness.trigger(execution)
    harness.drain()
    assert used == ["-1-each-1", "-2-each-1"]


def test_the_last_failure_of_an_item_counts(harness: Harness) -> None:
    """Its tries are over; a second run begins them anew, with another idempotency key."""
    plan = map_plan([1, 2])
    policy = msgspec.structs.replace(plan.policies[0], retry=Retry(max_attempts=2))
    execution = harness.begin(msgspec.structs.replace(plan, policies={0: policy}))
    used: list[str] = []

    def script(context: Context) -> None:
        if context.idempotency_key.endswith("-each-1"):
            used.append(context.idempotency_key.removeprefix(execution))
            raise HandlerError("boom", "on purpose")

    harness.script = script
    harness.drain()
    assert harness.statuses(execution)["each"] == "failed"
    harness.trigger(execution)
    harness.drain()
    assert used == ["-1-each-1", "-2-each-1", "-3-each-1", "-4-each-1"]


@pytest.mark.proves("map-paused")
def test_a_pause_of_an_item_goes_on_while_its_execution_is_paused(harness: Harness) -> None:
    """It is tried again after the resume."""
    plan = map_plan([1, 2])
    policy = msgspec.structs.replace(plan.policies[0], retry=Retry(max_attempts=2))
    execution = harness.begin(msgspec.structs.replace(plan, policies={0: policy}))
    harness.script = failing_items("0")
    harness.start_executions()
    harness.run_tasks()
    for _ in range(2):
        harness.deliver(harness.orchestrators[0], *harness.callbacks())
        harness.run_tasks()
    harness.script = lambda context: None
    harness.api.executions.pause(execution)
    assert harness.end_pauses() == 1
    for entry in harness.waiting("orchestrator"):
        harness.deliver(harness.orchestrators[0], entry)
    assert not harness.tasks()
    harness.api.executions.resume(execution)
    harness.drain()
    assert output(harness, execution)["result"] == [2, 3]


@pytest.mark.proves("map-item-hangs")
def test_the_time_of_an_item_is_over(harness: Harness) -> None:
    """Its worker hangs: the item fails by its deadline's timer, the others run."""
    execution = harness.begin(map_plan([1, 2], tolerated_failures=1))
    harness.start_executions()
    harness.run_tasks()
    harness.deliver(harness.orchestrators[0], *harness.callbacks())
    worker = harness.workers[0]

    def die(context: Context) -> None:
        worker.line.dead = True

    harness.script = die
    first, _ = harness.tasks()
    assert not harness.deliver(worker, first)
    harness.still_holding(first)
    harness.script = lambda context: None
    task = msgspec.json.decode(first.payload, type=RunNode)
    harness.make_overdue(execution, "each", 1, task.item_try)
    harness.fire_timers()
    for entry in harness.waiting("orchestrator"):
        harness.deliver(harness.orchestrators[0], entry)
    harness.drain()
    view = harness.api.executions.status(execution).nodes[0]
    assert view.status == "completed"
    assert output(harness, execution)["result"] == [None, 3]


def test_a_status_shows_numbers_and_pages_show_items(harness: Harness) -> None:
    """While the map runs, and once it has ended; items are found by their status."""
    execution = harness.begin(map_plan(list(range(7)), max_concurrent=3, tolerated_failures=1))
    harness.start_executions()
    harness.run_tasks()
    assert isinstance(harness.api.executions.status(execution).nodes[0].map, msgspec.UnsetType)
    harness.deliver(harness.orchestrators[0], *harness.callbacks())
    harness.script = failing_items("1")
    harness.run_tasks()
    harness.deliver(harness.orchestrators[0], *harness.callbacks())
    view = harness.api.executions.status(execution).nodes[0]
    assert view.status == "running"
    assert view.map == MapView(total=7, pending=1, running=3, completed=2, failed=1, cancelled=0)
    assert statuses(harness, execution) == ["completed", "failed", "completed", *["running"] * 3, "pending"]
    harness.drain()
    found = harness.api.executions.node(execution, "each")
    assert found.map == MapView(total=7, pending=0, running=0, completed=6, failed=1, cancelled=0)
    (failed,) = page(harness, execution, statuses=("failed",)).items
    assert (failed.key, failed.error and failed.error.code, failed.tries) == ("1", "boom", 1)
    assert page(harness, execution, limit=3, cursor="5").items[-1].result == msgspec.Raw(b'{"result":7}')
    first = page(harness, execution, limit=3)
    assert (first.next_cursor, [item.index for item in first.items]) == ("3", [0, 1, 2])
    assert page(harness, execution, limit=4, cursor="3").next_cursor is None
    assert page(harness, execution, node="after").items == ()
    later = page(harness, execution, begin=5, with_results=False)
    assert [(item.index, item.result) for item in later.items] == [(5, NULL), (6, NULL)]
    assert page(harness, execution, statuses=("failed",), begin=2).items == ()
    assert page(harness, execution, begin=5, cursor="6").items[0].index == 6
    assert page(harness, execution, begin=7) == page(harness, execution, begin=7000)


def page(
    harness: Harness,
    execution: str,
    node: str = "each",
    *,
    statuses: Sequence[ItemStatus] = (),
    begin: int = 0,
    with_results: bool = True,
    limit: int = 50,
    cursor: str | None = None,
) -> ItemPage:
    """A page of items."""
    return harness.api.executions.items(
        execution,
        node,
        statuses=statuses,
        begin=begin,
        with_results=with_results,
        limit=limit,
        cursor=cursor,
    )


def statuses(harness: Harness, execution: str) -> list[str]:
    """The statuses of the items."""
    return [item.status for item in page(harness, execution).items]


@pytest.mark.proves("map-message-lost")
def test_the_sweep_sends_items_again_whose_messages_are_gone(harness: Harness) -> None:
    """Once all that was sent before has left the queues, and nothing moves from one sweep to the next."""
    execution = harness.begin(map_plan(list(range(4)), max_concurrent=2))
    harness.start_executions()
    harness.run_tasks()
    harness.deliver(harness.orchestrators[0], *harness.callbacks())
    lost, kept = harness.tasks()
    harness.client.xack(harness.stream(lost.queue), GROUP, lost.id)
    harness.client.xdel(harness.stream(lost.queue), lost.id)
    sweep = harness.orchestrators[0].sweep
    assert [sweep.run() for _ in range(3)] == [0, 0, 0]
    harness.deliver(harness.workers[0], kept)
    harness.deliver(harness.orchestrators[0], *harness.callbacks())
    assert items_in(harness.tasks()) == [2]
    harness.run_tasks()
    harness.deliver(harness.orchestrators[0], *harness.callbacks())
    harness.run_tasks()
    harness.deliver(harness.orchestrators[0], *harness.callbacks())
    assert not harness.tasks()
    assert sum(sweep.run() for _ in range(3)) == 1
    assert items_in(harness.tasks()) == [0]
    harness.drain()
    assert output(harness, execution)["result"] == [1, 2, 3, 4]


@pytest.mark.proves("map-message-lost")
def test_the_sweep_looks_at_a_map_that_nobody_has_looked_at(harness: Harness) -> None:
    """Its report is gone with the process that was to look."""
    execution = harness.begin(map_plan([1, 2]))
    harness.start_executions()
    harness.run_tasks()
    harness.orchestrators[0].state.skipped = 1

    def die() -> None:
        harness.orchestrators[0].line.dead = True

    harness.orchestrators[0].state.between = die
    (expanded,) = harness.callbacks()
    assert not harness.deliver(harness.orchestrators[0], expanded)
    harness.client.xack(harness.stream(expanded.queue), GROUP, expanded.id)
    harness.client.xdel(harness.stream(expanded.queue), expanded.id)
    sweep = harness.orchestrators[0].sweep
    assert sum(sweep.run() for _ in range(3)) == 1
    harness.drain()
    assert output(harness, execution)["result"] == [2, 3]
