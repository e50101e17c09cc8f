"""Groups that repeat, on a real server: each iteration is a child execution of its own."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from flowengine.engine.commands.rerun import RerunAsked
from flowengine.execution.messages import RunNode, TendChild
from flowengine.execution.rules.steering.overruling import Complete, Fail, Skip, Word
from flowengine.execution.rules.steering.rerunning import Wanted
from flowengine.plugin import Context, HandlerError
from flowengine.queues import GROUP
from flowengine.workflow.plan import Plan
from tests.support.checks.invariants import check, check_everything
from tests.support.faults import Gate
from tests.support.group_plans import adds, group, plan_from
from tests.support.rigs.harness import Entry, Harness

TOTAL = {
    "id": "a",
    "handler": "sum",
    "config": {"inputs": ["{{ previous.total | default(0) }}", "{{ iteration }}"]},
}
"""Each iteration gives one more than what the one before gave and its number: 2, 5, 9, 14, 20, ..."""


def looping(*nodes: dict[str, Any], until: str, more: dict[str, Any] | None = None, **repeat: Any) -> Plan:
    """A plan of one group that repeats, and a node that reads how often."""
    given = {"repeat": {"until": until, **repeat}, "outputs": {"total": "{{ a.result }}"}, **(more or {})}
    last = {
        "id": "last",
        "handler": "sum",
        "config": {"inputs": ["{{ loop.iterations }}"]},
        "dependencies": ["loop"],
    }
    return plan_from(nodes=[group("loop", *(nodes or (TOTAL,)), **given), last])


def output(harness: Harness, execution: str) -> Any:
    """What the group has given."""
    return msgspec.json.decode(harness.api.executions.results(execution).results["loop"])


def children(harness: Harness, execution: str) -> list[tuple[int, str | None]]:
    """The number of each iteration that is kept, and the child as which it ran."""
    found = harness.api.executions.node(execution, "loop").attempts
    return [(int(each.iteration or 0), each.child or None) for each in found]


def orchestrate(harness: Harness) -> None:
    """Let the orchestrators do all that they can without a worker."""
    while waiting := harness.waiting("orchestrator"):
        for entry in waiting:
            harness.deliver(harness.orchestrators[0], entry)


def judging(harness: Harness) -> list[Entry]:
    """The tasks that say what follows from an iteration."""
    return [entry for entry in harness.tasks() if msgspec.json.decode(entry.payload, type=RunNode).judges]


def until_judging(harness: Harness, number: int = 1) -> Entry:
    """Go on until that task of this iteration waits for a worker."""
    for _ in range(50):
        orchestrate(harness)
        for entry in judging(harness):
            repeated = msgspec.json.decode(entry.payload, type=RunNode).repeated
            if repeated is not None and repeated.number == number:
                return entry
        harness.run_tasks()
    raise AssertionError(f"iteration {number} was never judged")


def until_told(harness: Harness) -> None:
    """Go on until the first child has completed, and the message is on its way that tells of it."""
    orchestrate(harness)
    harness.run_tasks()
    while not [entry for entry in harness.waiting("orchestrator") if entry.actor == "tend_child"]:
        for entry in harness.waiting("orchestrator"):
            harness.deliver(harness.orchestrators[0], entry)
        harness.run_tasks()


def calls(harness: Harness) -> list[str]:
    """The nodes whose handlers were called."""
    return [context.node_id for worker in harness.workers for context in worker.invoker.calls]


def failing(node: str, at: set[int], code: str = "boom") -> Any:
    """A script in which these calls of a node fail, counted over all iterations."""
    counted = [0]

    def script(context: Context) -> None:
        if context.node_id == node:
            counted[0] += 1
            if counted[0] in at:
                raise HandlerError(code, "on purpose")

    return script


@pytest.mark.proves("group-iteration")
def test_each_iteration_is_a_child_of_its_own(harness: Harness) -> None:
    """Its nodes read the number of the iteration and what the one before gave; all children stay."""
    execution = harness.begin(looping(until="{{ loop.result.total >= 9 }}"))
    harness.drain()
    assert output(harness, execution) == {"result": {"total": 9}, "iterations": 3}
    assert harness.results(execution)["last"] == 4
    found = children(harness, execution)
    assert [number for number, _ in found] == [1, 2, 3]
    assert len({child for _, child in found} - {None}) == 3
    shown = harness.api.executions.node(execution, "loop")
    assert (shown.status, shown.iteration, shown.attempt) == ("completed", 3, 3)
    assert shown.child == found[-1][1]
    totals = [harness.results(child)["a"] for _, child in found if child]
    assert totals == [2, 5, 9]
    assert len(check_everything(harness.client)) == 4
    assert b"response" not in harness.client.hkeys(harness.keys.node(execution, "loop"))
    kinds = [
        event.kind
        for event in check(harness.client, execution).events
        if event.node == "loop" and event.kind != "node_started"
    ]
    assert kinds == [
        *["node_opened", "node_queued", "node_iterated"] * 2,
        "node_opened",
        "node_queued",
        "node_completed",
    ]


def test_results_of_all_iterations_are_collected(harness: Harness) -> None:
    """Nothing else is left of them at the group."""
    execution = harness.begin(looping(until="{{ iteration == 4 }}", collect=True))
    harness.drain()
    totals = [{"total": total} for total in (2, 5, 9, 14)]
    assert output(harness, execution) == {"result": totals, "iterations": 4}
    assert not harness.client.exists(harness.keys.collected(execution, "loop"))
    fields = harness.client.hkeys(harness.keys.node(execution, "loop"))
    assert {b"previous", b"response"}.isdisjoint(fields)
    harness.delete(execution)
    harness.drain()
    assert not list(harness.client.scan_iter("fe:x:*"))


def test_a_group_that_has_exhausted_its_iterations_fails_and_goes_on_when_triggered(harness: Harness) -> None:
    """With as many again, and what the last one gave."""
    execution = harness.begin(looping(until="{{ iteration == 4 }}", max_iterations=2))
    harness.drain()
    assert harness.api.executions.results(execution).errors["loop"].code == "repeat_exhausted"
    before = calls(harness)
    check_everything(harness.client)
    harness.trigger(execution)
    harness.drain()
    assert output(harness, execution) == {"result": {"total": 14}, "iterations": 4}
    assert calls(harness)[len(before) :].count("a") == 2
    check_everything(harness.client)


@pytest.mark.parametrize("when", [None, "{{ true }}"])
@pytest.mark.parametrize("first", [0, 20])
def test_a_group_waits_by_a_timer_before_and_between_iterations(
    harness: Harness, first: int, when: str | None
) -> None:
    """No task of it waits meanwhile, and no child is there that has not begun."""
    more = {} if when is None else {"when": when}
    plan = looping(until="{{ iteration == 2 }}", delay_seconds=30, initial_delay_seconds=first, more=more)
    execution = harness.begin(plan)
    harness.start_executions()
    waits = 0
    for _ in range(10):
        orchestrate(harness)
        if harness.statuses(execution)["loop"] == "waiting":
            waits += 1
            assert not harness.tasks()
            assert harness.end_pauses() == 1
        harness.run_tasks()
    harness.drain()
    assert output(harness, execution)["iterations"] == 2
    assert waits == (2 if first else 1)
    check_everything(harness.client)


def test_a_condition_that_is_false_spares_the_group_all_iterations(harness: Harness) -> None:
    """No child is made."""
    execution = harness.begin(looping(until="{{ true }}", more={"when": "{{ false }}"}))
    harness.drain()
    assert harness.statuses(execution) == {"loop": "skipped", "last": "skipped"}
    assert len(check_everything(harness.client)) == 1


@pytest.mark.proves("group-iteration-goes-on")
def test_a_failed_iteration_goes_on_in_its_child(harness: Harness) -> None:
    """By a retry, and then by a trigger; those before it are not done again."""
    harness.script = failing("b", {2, 3})
    nodes = (TOTAL, adds("b", "a"))
    retry = {"retry": {"max_attempts": 2, "delay_seconds": 5}, "outputs": {"total": "{{ a.result }}"}}
    execution = harness.begin(looping(*nodes, until="{{ iteration == 3 }}", more=retry))
    harness.drain()
    assert harness.statuses(execution)["loop"] == "failed"
    child = harness.api.executions.node(execution, "loop").child
    assert isinstance(child, str)
    assert harness.api.executions.status(child).run == 2
    before = calls(harness)
    assert before.count("a") == 2
    assert before.count("b") == 3
    harness.trigger(execution)
    harness.drain()
    assert output(harness, execution) == {"result": {"total": 9}, "iterations": 3}
    assert calls(harness)[len(before) :].count("a") == 1
    assert [number for number, _ in children(harness, execution)] == [1, 2, 2, 2, 3]
    check_everything(harness.client)


def test_a_condition_that_gives_no_boolean_fails_its_iteration(harness: Harness) -> None:
    """The next run does this iteration again: all of it, as its child had completed."""
    execution = harness.begin(looping(until="{{ 'no' if iteration == 2 else false }}", max_iterations=3))
    harness.drain()
    assert harness.api.executions.results(execution).errors["loop"].code == "when_not_boolean"
    record = check(harness.client, execution).record("loop")
    assert record.repeated is not None
    assert (record.repeated.ended, record.repeated.given) == (1, 0)
    assert b"response" not in harness.client.hkeys(harness.keys.node(execution, "loop"))
    before = calls(harness)
    harness.trigger(execution)
    harness.drain()
    assert calls(harness)[len(before) :].count("a") == 1
    check_everything(harness.client)


@pytest.mark.proves("group-iteration-reported")
def test_the_end_of_an_iteration_counts_once(harness: Harness) -> None:
    """However often it is told of, and to whom; late news of an iteration that is over changes nothing."""
    execution = harness.begin(looping(until="{{ iteration == 3 }}", collect=True))
    seen: list[Entry] = []
    second = harness.second_orchestrator()
    for _ in range(40):
        waiting = harness.waiting("orchestrator")
        for entry in waiting:
            seen.append(entry)
            harness.deliver(harness.orchestrators[0], entry)
            harness.deliver(second, msgspec.structs.replace(entry, deliveries=2))
        for entry in [each for each in seen if each.actor == "tend_child"]:
            harness.deliver(second, msgspec.structs.replace(entry, deliveries=3))
        for task in harness.tasks():
            harness.deliver(harness.workers[0], task)
            harness.deliver(harness.workers[0], msgspec.structs.replace(task, deliveries=2))
        check(harness.client, execution, settled=False)
    harness.drain()
    totals = [{"total": total} for total in (2, 5, 9)]
    assert output(harness, execution) == {"result": totals, "iterations": 3}
    assert any(
        msgspec.json.decode(each.payload, type=TendChild).run == 1
        for each in seen
        if each.actor == "tend_child"
    )
    assert len(check_everything(harness.client)) == 4


@pytest.mark.proves("group-iteration-stopped")
@pytest.mark.parametrize("moment", ["child", "judge", "judged", "between"])
def test_a_cancel_ends_a_group_and_the_next_run_goes_on(harness: Harness, moment: str) -> None:
    """Whether its child runs, or has completed and is judged, or it waits: nothing that has completed is
    called again."""
    execution = harness.begin(looping(until="{{ iteration == 4 }}", delay_seconds=30, collect=True))
    if moment == "child":
        orchestrate(harness)
    else:
        entry = until_judging(harness)
        if moment != "judge":
            harness.deliver(harness.workers[0], entry)
        if moment == "between":
            orchestrate(harness)
    harness.cancel(execution)
    harness.drain()
    assert harness.api.executions.status(execution).status == "cancelled"
    check_everything(harness.client)
    harness.trigger(execution)
    harness.drain()
    totals = [{"total": total} for total in (2, 5, 9, 14)]
    assert output(harness, execution) == {"result": totals, "iterations": 4}
    assert calls(harness).count("a") == 4
    check_everything(harness.client)


@pytest.mark.proves("group-iteration-stopped")
def test_what_a_child_gave_before_a_cancel_is_judged_in_the_next_run(harness: Harness) -> None:
    """It had completed, and its end was on its way."""
    execution = harness.begin(looping(until="{{ iteration == 2 }}"))
    until_told(harness)
    harness.cancel(execution)
    harness.drain()
    assert harness.statuses(execution)["loop"] == "cancelled"
    check_everything(harness.client)
    harness.trigger(execution)
    harness.drain()
    assert output(harness, execution)["iterations"] == 2
    assert calls(harness).count("a") == 2


@pytest.mark.proves("group-iteration-held")
@pytest.mark.parametrize("moment", ["child", "told", "judge"])
def test_while_an_execution_is_paused_no_iteration_of_a_group_begins(harness: Harness, moment: str) -> None:
    """What runs ends; what follows is decided when it goes on."""
    execution = harness.begin(looping(until="{{ iteration == 3 }}"))
    if moment == "judge":
        until_judging(harness)
    elif moment == "told":
        until_told(harness)
    else:
        orchestrate(harness)
    harness.api.executions.pause(execution)
    orchestrate(harness)
    assert bool(judging(harness)) == (moment == "judge")
    harness.drain()
    record = check(harness.client, execution, settled=False).record("loop")
    assert record.status == ("open" if moment == "child" else "waiting")
    assert len(check_everything(harness.client)) == 2
    harness.api.executions.resume(execution)
    harness.drain()
    assert output(harness, execution) == {"result": {"total": 9}, "iterations": 3}
    check_everything(harness.client)


@pytest.mark.parametrize("word", [Skip(), Complete(msgspec.Raw(b'{"result":1}')), Fail("said", "so")])
@pytest.mark.parametrize("moment", ["child", "judge"])
def test_an_operator_ends_a_group_that_repeats(harness: Harness, moment: str, word: Word) -> None:
    """Nothing is left of what its iterations gave, unless the next run may go on with it."""
    execution = harness.begin(looping(until="{{ iteration == 3 }}"))
    if moment == "judge":
        until_judging(harness, 2)
    else:
        orchestrate(harness)
    harness.overrule(execution, "loop", word)
    harness.drain()
    fields = harness.client.hkeys(harness.keys.node(execution, "loop"))
    assert b"response" not in fields
    check_everything(harness.client)
    if isinstance(word, Fail):
        before = calls(harness)
        harness.trigger(execution)
        harness.drain()
        assert output(harness, execution)["result"] == {"total": 9}
        # The iteration that was judged is done again as well.
        assert calls(harness)[len(before) :].count("a") == (2 if moment == "judge" else 3)
        check_everything(harness.client)


def test_a_rerun_of_the_group_begins_anew(harness: Harness) -> None:
    """With its first iteration, in children of their own."""
    execution = harness.begin(looping(until="{{ iteration == 2 }}"))
    harness.drain()
    before = {child for _, child in children(harness, execution)}
    harness.api.executions.rerun(execution, RerunAsked(Wanted("from", start_from=("loop",))))
    harness.drain()
    assert output(harness, execution) == {"result": {"total": 5}, "iterations": 2}
    after = {child for _, child in children(harness, execution)[2:]}
    assert len(after) == 2
    assert before.isdisjoint(after)
    check_everything(harness.client)


def test_nothing_is_left_to_be_judged_where_a_group_begins_anew(harness: Harness) -> None:
    """What a child had given before a cancel goes with the rerun, though nothing else is kept."""
    plain = {"id": "a", "handler": "sum", "config": {"inputs": ["{{ iteration }}"]}}
    execution = harness.begin(looping(plain, until="{{ iteration == 2 }}"))
    until_judging(harness)
    harness.cancel(execution)
    harness.drain()
    assert b"response" in harness.client.hkeys(harness.keys.node(execution, "loop"))
    harness.api.executions.rerun(execution, RerunAsked(Wanted("from", start_from=("loop",))))
    assert b"response" not in harness.client.hkeys(harness.keys.node(execution, "loop"))
    harness.drain()
    assert output(harness, execution)["iterations"] == 2
    assert calls(harness).count("a") == 3


def test_a_rerun_while_an_old_child_still_reports_hears_nothing_of_it(harness: Harness) -> None:
    """Its group was ended by an operator, and begins anew: the old iteration is nobody's."""
    execution = harness.begin(looping(until="{{ iteration == 2 }}", collect=True))
    orchestrate(harness)
    (old,) = harness.tasks()
    harness.overrule(execution, "loop", Skip())
    orchestrate(harness)
    harness.deliver(harness.workers[0], old)
    harness.drain()
    harness.api.executions.rerun(execution, RerunAsked(Wanted("from", start_from=("loop",))))
    harness.deliver(harness.workers[0], msgspec.structs.replace(old, deliveries=2))
    harness.drain()
    assert output(harness, execution) == {"result": [{"total": 2}, {"total": 5}], "iterations": 2}
    check_everything(harness.client)


def test_groups_that_repeat_stand_in_one_another(harness: Harness) -> None:
    """Templates read the iteration of the nearest one."""
    count = {
        "id": "n",
        "handler": "sum",
        "config": {"inputs": ["{{ iteration }}", "{{ previous.n | default(0) }}"]},
    }
    inner = group("inner", count, repeat={"until": "{{ iteration == 2 }}"}, outputs={"n": "{{ n.result }}"})
    plain = group("plain", {"id": "m", "handler": "sum", "config": {"inputs": ["{{ iteration }}"]}})
    both = {"outputs": {"n": "{{ inner.result.n }}", "m": "{{ plain.result.m }}", "i": "{{ iteration }}"}}
    execution = harness.begin(looping(inner, plain, until="{{ iteration == 3 }}", collect=True, more=both))
    harness.drain()
    # 1 + 1 = 2, 1 + 2 + 2 = 5, in each of the outer ones; one more than the number of the outer one
    results = [{"n": 5, "m": number + 1, "i": number} for number in (1, 2, 3)]
    assert output(harness, execution) == {"result": results, "iterations": 3}
    check_everything(harness.client)


def test_each_iteration_takes_a_signal_of_its_own(harness: Harness) -> None:
    """It is sent to the child that runs; what that has not taken is not there for the next one."""
    asks = {"id": "a", "handler": "signal", "config": {"name": "go"}}
    execution = harness.begin(looping(asks, until="{{ iteration == 2 }}", collect=True))
    for payload in (b"7", b"8"):
        for _ in range(5):
            orchestrate(harness)
            harness.run_tasks()
        shown = harness.api.executions.node(execution, "loop")
        assert isinstance(shown.child, str)
        harness.signal(shown.child, "go", payload)
        harness.signal(shown.child, "go", b"0")
    harness.drain()
    assert output(harness, execution) == {"result": [{"total": 7}, {"total": 8}], "iterations": 2}


@pytest.mark.proves("group-iteration-counts")
def test_what_an_iteration_gave_counts_and_is_given_back(harness: Harness) -> None:
    """While it is judged it is stored beside what it is judged by."""
    big = {"id": "a", "handler": "sum", "config": {"inputs": []}}
    more = {"outputs": {"total": "x" * 5000}}
    execution = harness.begin(looping(big, until="{{ iteration == 2 }}", more=more))
    until_judging(harness)
    assert check(harness.client, execution, settled=False).record("loop").counted > 5000
    harness.drain()
    check_everything(harness.client)


@pytest.mark.proves("group-iteration-lost")
def test_the_sweep_finds_an_iteration_whose_message_is_lost(harness: Harness) -> None:
    """That of its child, and that of what judges it."""
    execution = harness.begin(looping(until="{{ iteration == 2 }}"))
    entry = until_judging(harness)
    harness.client.xack(harness.stream("worker"), GROUP, entry.id)
    harness.client.xdel(harness.stream("worker"), entry.id)
    sweep = harness.orchestrators[0].sweep
    for _ in range(3):
        sweep.run()
    assert sweep.repaired == 1
    harness.drain()
    assert output(harness, execution) == {"result": {"total": 5}, "iterations": 2}
    assert calls(harness).count("a") == 2


@pytest.mark.proves("group-iteration-crash")
@pytest.mark.parametrize("at", range(1, 9))
@pytest.mark.parametrize("way", ["die_before", "die_after"])
def test_a_crash_between_two_iterations_of_a_group_loses_and_doubles_nothing(
    harness: Harness, at: int, way: Any
) -> None:
    """Wherever an orchestrator dies over the end of a child, or over what judges it."""
    execution = harness.begin(looping(until="{{ iteration == 3 }}", collect=True))
    for _ in range(12):
        for entry in harness.waiting("orchestrator"):
            harness.orchestrators[0].line.gate = Gate(at=at, way=way)
            harness.deliver(harness.orchestrators[0], entry)
            harness.orchestrators[0].line.gate = Gate()
        harness.run_tasks()
    check(harness.client, execution, settled=False)
    harness.drain()
    totals = [{"total": total} for total in (2, 5, 9)]
    assert output(harness, execution) == {"result": totals, "iterations": 3}
    assert len(check_everything(harness.client)) == 4
