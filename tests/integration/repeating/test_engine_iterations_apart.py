"""Nodes that wait and repeat, on a real server: each iteration waits anew, in a child of this one node."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from flowengine.engine.commands.answering.call_back import Carried
from flowengine.engine.commands.rerun import RerunAsked
from flowengine.errors import CallbackGoneError, WrongStateError
from flowengine.execution.records import NodeError
from flowengine.execution.rules.steering.overruling import Complete, Fail, Skip
from flowengine.execution.rules.steering.rerunning import Wanted
from flowengine.execution.rules.waits.deciding import Answer
from flowengine.settings import Limits
from flowengine.workflow.plan import Plan
from flowengine.workflow.validation import check_document
from tests.integration.engine.test_engine_group_maps import result
from tests.integration.waits.test_engine_waits import settle
from tests.support.checks.invariants import check_everything
from tests.support.group_plans import adds, plan_from
from tests.support.rigs.harness import Harness, registry

pytestmark = pytest.mark.usefixtures("no_logs")

WAITING: dict[str, Any] = {
    "statuses": frozenset({"waiting"}),
    "begin": 0,
    "with_results": False,
    "limit": 10,
    "cursor": None,
}
"""The items of a map that wait, as the API takes it."""
YES, NO = Answer(approved=True), Answer(approved=False, comment="again")


def loop(until: str, handler: str = "signal", **fields: Any) -> dict[str, Any]:
    """The node `ask`, which repeats."""
    given = {"config": {}, **fields}
    return {"id": "ask", "handler": handler, **given, "repeat": {"until": until, **given.pop("repeat", {})}}


def plan(node: dict[str, Any]) -> Plan:
    """That node, and one behind it that reads how often."""
    last = {"id": "last", "handler": "sum", "config": {"inputs": ["{{ ask.iterations }}"]}}
    document: dict[str, Any] = {"name": "test", "nodes": [node, {**last, "dependencies": ["ask"]}]}
    made = check_document(document, registry(), Limits(public_url="https://flow.example"))
    assert made.plan is not None, made.problems
    return made.plan


def asking(**fields: Any) -> Plan:
    """An approval that is asked for until somebody approves, or as often as that may be."""
    config = {
        "prompt": "{{ iteration }}: {{ previous.comment | default('first') }}?",
        "on_reject": "continue",
    }
    return plan(loop("{{ ask.result.approved }}", "approval", config=config, **fields))


def begin(harness: Harness, made: Plan) -> str:
    """An execution of it, once all that can begin has."""
    execution = harness.begin(made)
    settle(harness)
    return execution


def decide(harness: Harness, execution: str, answer: Answer) -> None:
    """A decision that names the execution at the top."""
    harness.api.executions.decide(execution, "ask", answer)
    settle(harness)


def prompts(harness: Harness) -> list[str]:
    """What people are asked now."""
    return [
        str(each.prompt) for each in harness.api.executions.waiting(("approval",), limit=9, cursor="").items
    ]


def urls(harness: Harness) -> list[str]:
    """The tokens of the URLs that were handed out, in order."""
    calls = [call for worker in harness.workers for call in worker.invoker.calls]
    return [call.callback_url.rpartition("/")[2] for call in calls if call.callback_url is not None]


@pytest.mark.proves("iteration-apart")
def test_each_iteration_asks_anew(harness: Harness) -> None:
    """It reads its number and what the one before gave; the node gives what the last one did."""
    execution = begin(harness, asking())
    assert prompts(harness) == ["1: first?"]
    decide(harness, execution, NO)
    assert prompts(harness) == ["2: again?"]
    view = harness.api.executions.status(execution)
    for shown in (view.nodes[0], harness.api.executions.node(execution, "ask")):
        assert (shown.status, shown.iteration, view.counts.waiting) == ("waiting", 2, 1)
        assert shown.waiting_for is not msgspec.UNSET
        assert (shown.waiting_for.kind, shown.waiting_for.prompt) == ("approval", "2: again?")
    with pytest.raises(WrongStateError, match="is in iteration 2, not in iteration 1"):
        harness.api.executions.decide(execution, "ask", msgspec.structs.replace(YES, iteration=1))
    decide(harness, execution, msgspec.structs.replace(YES, iteration=2))
    harness.drain()
    found = result(harness, execution, "ask")
    assert (found["result"]["approved"], found["timed_out"], found["iterations"]) == (True, False, 2)
    assert harness.results(execution)["last"] == 3
    assert len(check_everything(harness.client)) == 3


@pytest.mark.proves("iteration-apart")
def test_each_iteration_takes_the_next_signal(harness: Harness) -> None:
    """Those that come early are kept for it; with `collect` the results are listed."""
    made = plan(loop("{{ ask.result == 3 }}", repeat={"collect": True}))
    execution = begin(harness, made)
    for number in (b"1", b"2", b"3", b"4"):
        harness.signal(execution, "ask", number)
    harness.drain()
    assert result(harness, execution, "ask") == {"result": [1, 2, 3], "iterations": 3}
    check_everything(harness.client)


@pytest.mark.proves("iteration-apart")
def test_each_iteration_has_a_callback_url_of_its_own(harness: Harness) -> None:
    """A callback to an earlier one comes too late, whatever it says."""
    node = loop(
        "{{ ask.result.done }}",
        "sum",
        config={"inputs": ["{{ iteration }}"]},
        wait_for_callback={"timeout_seconds": 60},
    )
    execution = begin(harness, plan(node))
    for done in (b"false", b"true"):
        harness.api.executions.call_back(urls(harness)[-1], Carried(b'{"done":%b}' % done))
        settle(harness)
    harness.drain()
    first, second = urls(harness)
    assert first != second
    with pytest.raises(CallbackGoneError):
        harness.api.executions.call_back(first, Carried(b'{"done":true}'))
    found = result(harness, execution, "ask")
    assert found == {"result": {"done": True}, "response": {"result": 3}, "timed_out": False, "iterations": 2}
    check_everything(harness.client)


def test_a_wait_is_repeated_with_a_delay_between(harness: Harness) -> None:
    """Neither holds a worker. Its first delay comes before the first wait."""
    node = loop(
        "{{ iteration == 2 }}",
        "wait",
        config={"seconds": "{{ 10 * iteration }}"},
        repeat={"delay_seconds": 30, "initial_delay_seconds": 20},
        when="{{ true }}",
    )
    execution = begin(harness, plan(node))
    ends = 0
    for _ in range(4):
        assert not harness.tasks()
        ends += harness.end_pauses() + harness.end_waits()
        settle(harness)
    assert ends == len(("first delay", "wait", "delay", "wait"))
    assert result(harness, execution, "ask")["iterations"] == 2
    check_everything(harness.client)


def test_its_condition_calls_no_handler(harness: Harness) -> None:
    """A worker renders it for the group around: the handler of the node runs in its iterations alone."""
    more: dict[str, Any] = {"wait_for_callback": {"timeout_seconds": 60}, "when": "{{ true }}"}
    made = plan(loop("{{ ask.result.done }}", "sum", config={"inputs": ["{{ iteration }}"]}, **more))
    execution = begin(harness, made)
    assert len(urls(harness)) == 1
    harness.api.executions.call_back(urls(harness)[-1], Carried(b'{"done":true}'))
    harness.drain()
    assert result(harness, execution, "ask")["iterations"] == 1
    check_everything(harness.client)


def test_a_map_is_outside_and_the_repetition_inside(harness: Harness) -> None:
    """Each item is asked until it is approved, in a child of its own."""
    config = {"prompt": "{{ item }}/{{ iteration }}", "on_reject": "continue"}
    node = loop("{{ ask.result.approved }}", "approval", config=config, map={"items": [7, 8]})
    execution = begin(harness, plan_from(nodes=[node]))
    page = harness.api.executions.items(execution, "ask", **WAITING)
    assert [each.waiting_for and each.waiting_for.prompt for each in page.items] == ["7/1", "8/1"]
    for key, answer in (("0", NO), ("1", YES), ("0", YES)):
        decide(harness, execution, msgspec.structs.replace(answer, item=key))
    harness.drain()
    found = result(harness, execution, "ask")
    assert [each["approved"] for each in found["result"]] == [True, True]
    assert len(check_everything(harness.client)) == 1 + 2 + 3


@pytest.mark.proves("iteration-apart-again")
def test_a_failed_iteration_waits_again_by_a_trigger(harness: Harness) -> None:
    """Those before it are not asked again, and what the failed one was told does not count."""
    node = loop(
        "{{ ask.result == 'yes' }}",
        "sum",
        config={"inputs": [1]},
        wait_for_callback={"timeout_seconds": 60},
    )
    execution = begin(harness, plan(node))
    harness.api.executions.call_back(urls(harness)[-1], Carried(b'"no"'))
    settle(harness)
    harness.api.executions.call_back(urls(harness)[-1], Carried(error=NodeError("unreadable", "no text")))
    harness.drain()
    errors = harness.api.executions.results(execution).errors
    assert errors["ask"].code == "unreadable"
    check_everything(harness.client)
    harness.trigger(execution)
    settle(harness)
    assert len(set(urls(harness))) == 3
    harness.api.executions.call_back(urls(harness)[-1], Carried(b'"yes"'))
    harness.drain()
    assert result(harness, execution, "ask")["iterations"] == 2
    check_everything(harness.client)


def test_each_iteration_is_tried_again_by_itself(harness: Harness) -> None:
    """In its child, as a node that waits is; the failure of the node is that of the iteration."""
    node = loop(
        "{{ iteration == 2 }}",
        config={"timeout_seconds": 5},
        retry={"max_attempts": 2, "delay_seconds": 1, "only": ["timeout"]},
    )
    node = {**node, "config": {}, "timeout_seconds": 5}
    execution = begin(harness, plan(node))
    harness.drain()
    assert harness.api.executions.results(execution).errors["ask"].code == "timeout"
    child = harness.api.executions.node(execution, "ask").child
    assert isinstance(child, str)
    assert harness.api.executions.node(child, "ask").attempt == 2
    check_everything(harness.client)


@pytest.mark.proves("iteration-apart-stopped")
def test_a_cancel_ends_the_wait_and_the_next_run_goes_on(harness: Harness) -> None:
    """With the iteration that waited; a rerun begins with the first."""
    execution = begin(harness, asking())
    decide(harness, execution, NO)
    harness.cancel(execution)
    harness.drain()
    assert harness.statuses(execution)["ask"] == "cancelled"
    assert not prompts(harness)
    check_everything(harness.client)
    harness.trigger(execution)
    settle(harness)
    assert prompts(harness) == ["2: again?"]
    decide(harness, execution, YES)
    harness.drain()
    assert result(harness, execution, "ask")["iterations"] == 2
    harness.api.executions.rerun(execution, RerunAsked(Wanted("all")))
    settle(harness)
    assert prompts(harness) == ["1: first?"]
    decide(harness, execution, YES)
    harness.drain()
    assert result(harness, execution, "ask")["iterations"] == 1
    check_everything(harness.client)


@pytest.mark.parametrize("word", [Skip(), Complete(msgspec.Raw(b'{"result":5}')), Fail("gone")])
def test_an_operator_ends_the_node_or_one_iteration(harness: Harness, word: Skip | Complete | Fail) -> None:
    """The node, at the top: all of it ends. In the child, the iteration: what follows is as ever."""
    node = loop("{{ iteration == 2 }}", repeat={"collect": True})
    whole, one = begin(harness, plan(node)), begin(harness, plan(node))
    harness.overrule(whole, "ask", word)
    child = harness.api.executions.node(one, "ask").child
    assert isinstance(child, str)
    harness.overrule(child, "ask", word)
    settle(harness)
    ends = {Skip: "skipped", Complete: "completed", Fail: "failed"}
    assert harness.statuses(whole)["ask"] == ends[type(word)]
    if isinstance(word, Fail):
        assert harness.api.executions.results(one).errors["ask"].code == "gone"
    else:
        harness.signal(one, "ask", b"2")
        harness.drain()
        given = None if isinstance(word, Skip) else 5
        assert result(harness, one, "ask") == {"result": [given, 2], "iterations": 2}
    harness.drain()
    check_everything(harness.client)


def test_iterations_are_no_level_of_depth(harness: Harness) -> None:
    """What stands in their items neither: a node in five groups waits, repeats and runs for items."""
    node = loop("{{ ask.result }}", map={"items": [1]})
    for depth in range(5):
        node = {"id": f"g{depth}", "nodes": [node]}
    execution = begin(harness, plan_from(nodes=[node, adds("z")]))
    kept = harness.api.executions.send_signal(execution, "ask", b"true", item="0")
    assert kept.execution_id != execution
    harness.drain()
    assert harness.api.executions.status(execution).status == "completed"
    check_everything(harness.client)
