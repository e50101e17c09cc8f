"""Signals and decisions that name the execution at the top, and lead into groups, items and iterations."""

from __future__ import annotations

from typing import Any

import pytest

from flowengine.engine.commands.answering.payload_check import PayloadInvalidError
from flowengine.errors import NodeNotFoundError, SignalNotFoundError, WrongStateError
from flowengine.execution.rules.waits.deciding import Answer
from flowengine.store import keys
from flowengine.workflow.plan import Plan
from tests.integration.engine.test_engine_group_maps import result
from tests.integration.waits.test_engine_waits import settle
from tests.support.checks.invariants import check_everything
from tests.support.group_plans import adds, group, plan_from
from tests.support.rigs.harness import Harness

pytestmark = pytest.mark.usefixtures("no_logs")

ASK: dict[str, Any] = {"id": "ask", "handler": "approval", "config": {"prompt": "?"}}
HEAR: dict[str, Any] = {"id": "hear", "handler": "signal", "config": {"name": "paid"}}
ITEMS = {"items": [1, 2], "key": "k{{ item }}"}


def begin(harness: Harness, made: Plan) -> str:
    """An execution of it, once all that can begin has."""
    execution = harness.begin(made)
    settle(harness)
    return execution


def decide(harness: Harness, execution: str, node: str, **more: Any) -> str:
    """Approve it; returns the execution that holds the node."""
    answer = Answer(approved=True, **more)
    return harness.api.executions.decide(execution, node, answer).execution_id


def signal(harness: Harness, execution: str, name: str = "paid", payload: bytes = b"1", **more: Any) -> str:
    """Send it; returns the execution that keeps it."""
    return harness.api.executions.send_signal(execution, name, payload, **more).execution_id


@pytest.mark.proves("answer-address")
def test_a_decision_leads_into_groups(harness: Harness) -> None:
    """By the ids of the groups and the node, with points between."""
    execution = begin(harness, plan_from(nodes=[group("outer", group("inner", ASK))]))
    assert decide(harness, execution, "outer.inner.ask") != execution
    settle(harness)
    assert harness.statuses(execution) == {"outer": "completed"}
    check_everything(harness.client)


@pytest.mark.proves("answer-address")
def test_an_item_is_picked_by_its_key(harness: Harness) -> None:
    """Of a map of a node, and of one of a group."""
    nodes = [{**ASK, "map": ITEMS}, group("each", {**ASK, "id": "inside"}, map=ITEMS)]
    execution = begin(harness, plan_from(nodes=nodes))
    for key in ("k2", "k1"):
        decide(harness, execution, "ask", item=key, comment=key)
        decide(harness, execution, "each.inside", item=key)
        settle(harness)
    assert [one["comment"] for one in result(harness, execution, "ask")["result"]] == ["k1", "k2"]
    assert harness.statuses(execution) == {"ask": "completed", "each": "completed"}
    check_everything(harness.client)


@pytest.mark.proves("answer-address")
def test_a_signal_finds_the_group_in_which_somebody_waits_for_it(harness: Harness) -> None:
    """Also where it is several groups away."""
    execution = begin(harness, plan_from(nodes=[group("outer", group("inner", HEAR)), adds("z")]))
    signal(harness, execution)
    settle(harness)
    assert harness.statuses(execution) == {"outer": "completed", "z": "completed"}


@pytest.mark.proves("answer-address")
def test_a_signal_goes_to_the_item_that_is_picked(harness: Harness) -> None:
    """And is kept there, until its node waits."""
    node = {**HEAR, "map": {**ITEMS, "max_concurrent": 2}}
    execution = begin(harness, plan_from(nodes=[node]))
    for key, payload in (("k2", b'"b"'), ("k1", b'"a"')):
        signal(harness, execution, payload=payload, item=key)
    settle(harness)
    assert result(harness, execution, "hear")["result"] == ["a", "b"]
    check_everything(harness.client)


@pytest.mark.proves("answer-address")
def test_an_iteration_is_picked_by_its_number(harness: Harness) -> None:
    """One that has ended, or has not begun, takes nothing."""
    node = group("loop", ASK, repeat={"until": "{{ iteration >= 2 }}"})
    execution = begin(harness, plan_from(nodes=[node]))
    for number in (1, 2):
        with pytest.raises(WrongStateError, match=f"is in iteration {number}, not in iteration {3 - number}"):
            decide(harness, execution, "loop.ask", iteration=3 - number)
        decide(harness, execution, "loop.ask", iteration=number)
        settle(harness)
    assert harness.statuses(execution) == {"loop": "completed"}


@pytest.mark.proves("answer-address")
def test_a_signal_of_the_executions_own_stays_there(harness: Harness) -> None:
    """Though a group has a node that waits for one of the same name."""
    nodes = [{**HEAR, "id": "own"}, group("g", HEAR)]
    execution = begin(harness, plan_from(nodes=nodes))
    assert signal(harness, execution) == execution


@pytest.mark.proves("signal-early")
def test_a_signal_is_kept_for_a_group_that_has_not_begun(harness: Harness) -> None:
    """At the top, also for a group in a group; the one that is left expires with the execution."""
    nodes = [{**HEAR, "id": "own", "config": {}}, group("outer", group("inner", HEAR), after=("own",))]
    execution = begin(harness, plan_from(nodes=nodes))
    for payload in (b"1", b"2"):
        assert signal(harness, execution, payload=payload) == execution
    settle(harness)
    assert harness.statuses(execution) == {"own": "waiting", "outer": "pending"}
    signal(harness, execution, "own")
    settle(harness)
    assert harness.statuses(execution) == {"own": "completed", "outer": "completed"}
    assert result(harness, execution, "outer")["result"] == {"inner": {"hear": 1}}
    left = keys.of().signals(execution)
    assert (harness.client.hexists(left, "s:1"), harness.client.hexists(left, "s:2")) == (False, True)
    assert harness.client.ttl(left) > 0
    check_everything(harness.client)


@pytest.mark.proves("signal-early")
@pytest.mark.proves("answer-address")
def test_of_loops_in_loops_the_nearest_iteration_is_picked(harness: Harness) -> None:
    """As the templates of the node read it; for a decision and for a signal, also where a plain group is
    between."""
    inner = group("inner", group("plain", ASK), HEAR, repeat={"until": "{{ iteration >= 2 }}"})
    node = group("outer", inner, repeat={"until": "{{ iteration >= 2 }}"})
    execution = begin(harness, plan_from(nodes=[node]))
    for _ in range(2):
        for number in (1, 2):
            with pytest.raises(WrongStateError, match=f"node 'inner' is in iteration {number}, not in"):
                decide(harness, execution, "outer.inner.plain.ask", iteration=3 - number)
            with pytest.raises(WrongStateError, match=f"node 'inner' is in iteration {number}, not in"):
                signal(harness, execution, iteration=3 - number)
            kept = signal(harness, execution, iteration=number)
            child = harness.api.executions.node(execution, "outer").child
            assert harness.api.executions.node(str(child), "inner").child == kept
            decide(harness, execution, "outer.inner.plain.ask", iteration=number)
            settle(harness)
    assert harness.statuses(execution) == {"outer": "completed"}
    check_everything(harness.client)


@pytest.mark.proves("answer-address")
def test_each_iteration_takes_the_next_signal(harness: Harness) -> None:
    """In the order in which they came, though all come in the first iteration."""
    node = group("loop", HEAR, repeat={"until": "{{ iteration >= 3 }}", "collect": True})
    execution = begin(harness, plan_from(nodes=[node]))
    for payload in (b"1", b"2", b"3", b"4"):
        signal(harness, execution, payload=payload)
    settle(harness)
    assert result(harness, execution, "loop")["result"] == [{"hear": 1}, {"hear": 2}, {"hear": 3}]
    check_everything(harness.client)


@pytest.mark.proves("signal-taken-once")
def test_of_an_execution_and_its_group_one_takes_a_signal(harness: Harness) -> None:
    """Both wait: the execution's own node is asked first, and the group's takes the next."""
    execution = begin(harness, plan_from(nodes=[{**HEAR, "id": "own"}, group("g", HEAR)]))
    for ended in ({"own": "completed", "g": "queued"}, {"own": "completed", "g": "completed"}):
        signal(harness, execution)
        settle(harness)
        assert harness.statuses(execution) == ended
    check_everything(harness.client)


@pytest.mark.proves("signal-taken-once")
def test_two_groups_ask_for_a_signal_at_once(harness: Harness) -> None:
    """Between the reads and the writes of one, the other takes it: one of them ends."""
    execution = begin(harness, plan_from(nodes=[group("one", HEAR), group("two", HEAR)]))
    signal(harness, execution)
    first, second = harness.orchestrators[0], harness.second_orchestrator()
    (kept,) = harness.waiting("orchestrator")
    assert harness.deliver(first, kept)
    one, two = harness.waiting("orchestrator")
    first.state.between = lambda: harness.deliver(second, two)
    assert harness.deliver(first, one)
    settle(harness)
    assert harness.statuses(execution) == {"one": "queued", "two": "completed"}
    check_everything(harness.client)


@pytest.mark.proves("signal-and-wait")
def test_a_signal_comes_while_a_node_in_a_group_begins_to_wait(harness: Harness) -> None:
    """Between the reads and the writes of its report: one of the messages finds both."""
    execution = harness.begin(plan_from(nodes=[group("g", HEAR)]))
    harness.start_executions()
    while not harness.tasks():
        harness.deliver(harness.orchestrators[0], harness.waiting("orchestrator")[0])
    harness.run_tasks("hear")
    first = harness.orchestrators[0]
    first.state.between = lambda: signal(harness, execution)
    assert harness.deliver(first, *harness.callbacks())
    settle(harness)
    assert harness.statuses(execution) == {"g": "completed"}
    check_everything(harness.client)


def test_what_is_kept_for_an_execution_is_of_no_item(harness: Harness) -> None:
    """Nor of a group in an item; what is sent to the item is kept for its groups."""
    go = {"id": "go", "handler": "signal", "config": {}}
    each = group("each", go, group("inner", HEAR, after=("go",)), map=ITEMS)
    execution = harness.begin(plan_from(nodes=[each, {**HEAR, "id": "own"}]))
    for payload in (b"1", b"2"):
        signal(harness, execution, payload=payload)
    harness.start_executions()
    settle(harness)
    assert harness.statuses(execution) == {"each": "queued", "own": "completed"}
    signal(harness, execution, "go", item="k1")
    settle(harness)
    assert harness.statuses(execution)["each"] == "queued"
    for item in ("k2", "k1"):
        assert signal(harness, execution, payload=b"3", item=item) != execution
    signal(harness, execution, "go", item="k2")
    settle(harness)
    assert result(harness, execution, "each")["result"] == [{"inner": {"hear": 3}}] * 2
    check_everything(harness.client)


def test_what_is_sent_to_a_group_matches_what_its_nodes_say(harness: Harness) -> None:
    """Before the group has begun; nothing is kept of what does not."""
    hear = {"id": "hear", "handler": "signal", "config": {"name": "paid", "schema": {"type": "integer"}}}
    nodes = [{"id": "own", "handler": "signal", "config": {}}, group("g", hear, after=("own",))]
    execution = begin(harness, plan_from(nodes=nodes))
    with pytest.raises(PayloadInvalidError):
        signal(harness, execution, payload=b'"no number"')
    assert not harness.client.exists(keys.of().signals(execution))


@pytest.mark.parametrize(
    ("address", "more", "error", "said"),
    [
        ("ask", {}, WrongStateError, "say which is meant with 'item'"),
        ("ask", {"item": "k9"}, NodeNotFoundError, "no item 'k9' of node 'ask' has begun"),
        ("ask", {"item": "k1", "iteration": 1}, NodeNotFoundError, "leave 'iteration' out"),
        ("g.ask2", {"item": "k1"}, NodeNotFoundError, "leave 'item' out"),
        ("g", {}, WrongStateError, "is a group: name the node in it that is meant, as in 'g.NODE'"),
        ("g.nope", {}, NodeNotFoundError, "has no node 'nope'"),
        ("g.ask2.more", {}, NodeNotFoundError, "is no group"),
        ("nope.ask", {}, NodeNotFoundError, "has no node 'nope'"),
        ("$outputs", {}, NodeNotFoundError, "has no node '$outputs'"),
        ("late.ask3", {}, WrongStateError, "has not begun"),
        ("", {}, NodeNotFoundError, "has no node ''"),
    ],
)
def test_what_leads_nowhere_says_what_to_do(
    harness: Harness, address: str, more: dict[str, Any], error: type[Exception], said: str
) -> None:
    """And nothing is decided."""
    nodes = [
        {**ASK, "map": ITEMS},
        group("g", {**ASK, "id": "ask2"}),
        group("late", {**ASK, "id": "ask3"}, after=("g",)),
    ]
    execution = begin(harness, plan_from(nodes=nodes))
    with pytest.raises(error) as caught:
        decide(harness, execution, address, **more)
    assert said in str(caught.value)
    assert len(harness.api.executions.waiting(("approval",), limit=5, cursor="").items) == 3


@pytest.mark.parametrize(
    ("name", "more", "error", "said"),
    [
        ("paid", {}, WrongStateError, "say which is meant with 'item'"),
        ("paid", {"item": "k9"}, SignalNotFoundError, "no item 'k9' of node 'hear' has begun"),
        ("own", {"item": "k1"}, SignalNotFoundError, "goes to the execution itself: leave 'item' out"),
        ("pait", {}, SignalNotFoundError, "'paid'"),
        ("later", {"iteration": 1}, WrongStateError, "has not begun"),
    ],
)
def test_a_signal_that_leads_nowhere_says_what_to_do(
    harness: Harness, name: str, more: dict[str, Any], error: type[Exception], said: str
) -> None:
    """And nothing is kept."""
    later = {"id": "l", "handler": "signal", "config": {"name": "later"}}
    nodes = [
        {**HEAR, "map": ITEMS},
        {"id": "own", "handler": "signal", "config": {}},
        group("late", later, after=("own",)),
    ]
    execution = begin(harness, plan_from(nodes=nodes))
    with pytest.raises(error) as caught:
        signal(harness, execution, name, **more)
    assert said in str(caught.value)


def test_an_item_that_has_ended_takes_no_signal(harness: Harness) -> None:
    """What it took is not taken back, and nothing more is kept for it."""
    execution = begin(harness, plan_from(nodes=[{**HEAR, "map": ITEMS}]))
    signal(harness, execution, item="k1")
    settle(harness)
    with pytest.raises(WrongStateError, match="has ended or is being stopped"):
        signal(harness, execution, item="k1")
