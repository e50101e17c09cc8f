"""Approvals: a person decides, once; a timeout never approves. And the list of what waits for a person."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from flowengine.engine.commands.answering.decide import AlreadyDecidedError
from flowengine.engine.commands.answering.payload_check import PayloadInvalidError
from flowengine.engine.commands.rerun import RerunAsked
from flowengine.errors import BadCursorError, NodeNotFoundError, WrongStateError
from flowengine.execution.messages import NodeOverruled
from flowengine.execution.requests.listing import Wanted as WantedExecutions
from flowengine.execution.rules.steering.overruling import Skip
from flowengine.execution.rules.steering.rerunning import Wanted
from flowengine.execution.rules.waits.deciding import Answer
from flowengine.execution.views.executions import DecidedView, WaitingView
from flowengine.store import keys
from flowengine.store.lists.waiting_timers import RedisWaiting
from flowengine.workflow.waits.wait_policy import WaitPolicy
from tests.integration.waits.test_engine_signals import begin, result_of
from tests.integration.waits.test_engine_waits import settle, wait_for_it
from tests.support.checks.invariants import check
from tests.support.checks.reference_model import Graph, Says
from tests.support.rigs.harness import ApiProcess, Harness, plan_of

LINE: Graph = {"ask": (), "after": ("ask",)}
ASKS = {"ask": WaitPolicy("approval")}
YES = Answer(approved=True, comment="go")
NO = Answer(approved=False, comment="not yet")


def decide(harness: Harness, execution: str, answer: Answer, node: str = "ask") -> DecidedView:
    """What a person decides."""
    return harness.api.executions.decide(execution, node, answer)


def waiting(harness: Harness, *kinds: str, limit: int = 50, cursor: str = "") -> WaitingView:
    """A page of what waits for a person."""
    chosen = kinds or ("approval", "signal")
    return harness.api.executions.waiting(chosen, limit=limit, cursor=cursor)  # type: ignore[arg-type]


@pytest.mark.proves("decision-once")
def test_an_approval_completes_with_what_was_decided(harness: Harness) -> None:
    """At once; what follows is dispatched by the message. Its timer goes."""
    execution = begin(harness, ASKS, LINE)
    view = decide(harness, execution, YES)
    assert (view.status, view.run, view.attempt, view.decision.approved) == ("completed", 1, 1, True)
    assert not harness.client.exists(keys.of().timers("wait"))
    assert harness.statuses(execution) == {"ask": "completed", "after": "pending"}
    settle(harness)
    output = result_of(harness, execution, "ask")
    decided = {"approved": True, "comment": "go", "data": None, "by": None, "at": view.decision.at}
    assert output == {"result": decided, "timed_out": False}
    assert harness.statuses(execution) == {"ask": "completed", "after": "completed"}


@pytest.mark.parametrize(("takes", "status"), [(False, "failed"), (True, "completed")])
def test_a_rejection_fails_the_node_unless_it_takes_it(harness: Harness, takes: bool, status: str) -> None:
    """For good, with the comment; or its result says so."""
    waits = {"ask": WaitPolicy("approval", takes_rejections=takes)}
    execution = begin(harness, waits, LINE)
    assert decide(harness, execution, NO).status == status
    settle(harness)
    assert harness.statuses(execution) == {"ask": status, "after": status}
    if not takes:
        error = harness.api.executions.results(execution).errors["ask"]
        assert (error.code, error.message) == ("rejected", "it was rejected: not yet")


@pytest.mark.proves("decision-once")
@pytest.mark.parametrize("second", [YES, NO])
@pytest.mark.parametrize("first", [YES, NO])
def test_a_second_decision_is_answered_with_the_first(
    harness: Harness, first: Answer, second: Answer
) -> None:
    """Also after the execution has ended, and with the same decision."""
    execution = begin(harness, ASKS, LINE)
    made = decide(harness, execution, first).decision
    for _ in range(2):
        with pytest.raises(AlreadyDecidedError) as refused:
            decide(harness, execution, second)
        assert refused.value.decision == made
        settle(harness)


@pytest.mark.proves("decision-once")
def test_two_decisions_at_once(harness: Harness) -> None:
    """One falls between the reads and the writes of the other: it counts."""
    execution = begin(harness, ASKS, LINE)
    other = ApiProcess("api-2", harness)
    harness.api.state.between = lambda: other.executions.decide(execution, "ask", NO)
    with pytest.raises(AlreadyDecidedError, match="rejected"):
        decide(harness, execution, YES)
    other.close()
    assert harness.statuses(execution)["ask"] == "failed"


@pytest.mark.proves("decision-and-timeout")
@pytest.mark.parametrize("continues", [False, True])
@pytest.mark.parametrize("first", ["decision", "timeout"])
def test_a_decision_and_the_timeout_at_once(harness: Harness, first: str, continues: bool) -> None:
    """The first one ends the wait. A timeout never approves."""
    execution = begin(harness, {"ask": WaitPolicy("approval", continues=continues)}, LINE)
    harness.end_waits()
    (timer,) = harness.waiting("orchestrator")
    process = harness.orchestrators[0]
    if first == "decision":
        process.state.between = lambda: decide(harness, execution, YES)
        assert harness.deliver(process, timer)
    else:
        harness.api.state.between = lambda: harness.deliver(process, timer)
        with pytest.raises(WrongStateError):
            decide(harness, execution, YES)
    settle(harness)
    if first == "decision":
        assert result_of(harness, execution, "ask")["result"]["approved"] is True  # type: ignore[index]
    elif continues:
        assert result_of(harness, execution, "ask") == {"result": {"timed_out": True}, "timed_out": True}
    else:
        assert harness.api.executions.results(execution).errors["ask"].code == "timeout"


def test_the_time_of_an_approval_is_nothing_to_a_node_that_waits_for_another_try(harness: Harness) -> None:
    """It was rejected when its time was over already, and asks once more."""
    waits = {"ask": WaitPolicy("approval")}
    plan = plan_of(LINE, says={"ask": Says(tries=2)}, reading=False, waits=waits)
    policy = plan.policies[0]
    assert policy.retry is not None
    again = replace(policy, retry=replace(policy.retry, only=("rejected",)))
    execution = harness.begin(replace(plan, policies={**plan.policies, 0: again}))
    wait_for_it(harness, execution)
    harness.end_waits()
    (timer,) = harness.waiting("orchestrator")
    decide(harness, execution, NO)
    assert harness.statuses(execution)["ask"] == "waiting"
    harness.deliver(harness.orchestrators[0], timer)
    settle(harness)
    assert harness.statuses(execution)["ask"] == "waiting"
    assert harness.end_pauses() == 1
    settle(harness)
    decide(harness, execution, YES)
    settle(harness)
    assert harness.statuses(execution) == {"ask": "completed", "after": "completed"}


@pytest.mark.parametrize("by", ["cancel", "overrule"])
def test_a_decision_that_comes_too_late_is_refused(harness: Harness, by: str) -> None:
    """The execution is being stopped, or the node asks no more."""
    execution = begin(harness, ASKS, LINE)
    if by == "cancel":
        harness.cancel(execution)
    else:
        harness.overrule(execution, "ask", Skip())
    with pytest.raises(WrongStateError):
        decide(harness, execution, YES)


def test_a_decision_is_meant_for_its_run_and_attempt_and_for_what_asks(harness: Harness) -> None:
    """Else it is refused, and does not count."""
    execution = harness.begin(plan_of(LINE, waits=ASKS))
    with pytest.raises(WrongStateError, match="not asked yet"):
        decide(harness, execution, YES)
    wait_for_it(harness, execution)
    for answer, node in (
        (Answer(approved=True, run=2), "ask"),
        (Answer(approved=True, attempt=2), "ask"),
        (YES, "after"),
    ):
        with pytest.raises(WrongStateError):
            decide(harness, execution, answer, node)
    with pytest.raises(NodeNotFoundError):
        decide(harness, execution, YES, "nobody")
    assert decide(harness, execution, Answer(approved=True, run=1, attempt=1)).status == "completed"


def test_the_data_of_an_approval_are_of_its_schema(harness: Harness) -> None:
    """Those of a rejection need not be."""
    schema = '{"type":"object","required":["limit"]}'
    execution = begin(harness, {"ask": WaitPolicy("approval", schema=schema)}, LINE)
    with pytest.raises(PayloadInvalidError) as refused:
        decide(harness, execution, YES)
    assert [problem.pointer for problem in refused.value.problems] == ["/data"]
    assert decide(harness, execution, NO).status == "failed"


@pytest.mark.proves("decision-again")
def test_another_run_asks_again(harness: Harness) -> None:
    """What was decided before counts for that run."""
    execution = begin(harness, ASKS, LINE)
    decide(harness, execution, NO)
    settle(harness)
    harness.trigger(execution)
    settle(harness)
    assert harness.statuses(execution)["ask"] == "waiting"
    assert decide(harness, execution, YES).run == 2
    settle(harness)
    harness.api.executions.rerun(execution, RerunAsked(Wanted("all")))
    settle(harness)
    assert decide(harness, execution, YES).run == 3


def test_a_decision_counts_while_its_execution_is_paused(harness: Harness) -> None:
    """What follows waits for the resume."""
    execution = begin(harness, ASKS, LINE)
    harness.api.executions.pause(execution)
    assert decide(harness, execution, YES).status == "completed"
    settle(harness)
    assert harness.statuses(execution)["after"] == "pending"
    harness.api.executions.resume(execution)


def test_the_message_of_a_decision_speaks_of_its_run(harness: Harness) -> None:
    """It lets an orchestrator look at all nodes."""
    execution = begin(harness, ASKS, LINE)
    decide(harness, execution, YES)
    (entry,) = harness.waiting("orchestrator")
    message = msgspec.json.decode(entry.payload, type=NodeOverruled)
    assert (entry.actor, message.execution, message.run) == ("node_overruled", execution, 1)


# -- what waits for a person


@pytest.mark.proves("waiting-listed")
def test_what_waits_for_a_person_is_listed_over_all_executions(harness: Harness) -> None:
    """Those first whose time is over first, a page after the other; by kind; no other waits."""
    both = {"ask": WaitPolicy("approval"), "hear": WaitPolicy("signal", 5_000, names=("paid", "refused"))}
    graph: Graph = {"ask": (), "hear": (), "held": ()}
    waits = {**both, "held": WaitPolicy("wait")}
    first, second = [begin(harness, waits, graph) for _ in range(2)]
    page = waiting(harness)
    found = [(item.execution_id, item.node, item.kind, item.prompt) for item in page.items]
    assert found == [
        (first, "hear", "signal", "pay"),
        (second, "hear", "signal", "pay"),
        (first, "ask", "approval", "may it go?"),
        (second, "ask", "approval", "may it go?"),
    ]
    assert page.next_cursor is None
    assert page.items[0].names == ("paid", "refused")
    assert {item.node for item in waiting(harness, "approval").items} == {"ask"}
    pages, cursor = [], ""
    while True:
        page = waiting(harness, limit=1, cursor=cursor)
        pages += [item.node for item in page.items]
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
    assert pages == ["hear", "hear", "ask", "ask"]
    decide(harness, first, YES)
    harness.cancel(second)
    assert [(item.execution_id, item.node) for item in waiting(harness).items] == [(first, "hear")]
    with pytest.raises(BadCursorError):
        waiting(harness, cursor="x")


def test_waits_that_end_in_one_millisecond_are_all_listed(harness: Harness) -> None:
    """However many they are, and whatever does not wait for a person stands between them."""
    graph: Graph = {f"hold{at}": () for at in range(7)} | {"ask": ()}
    waits = {node: WaitPolicy("wait") for node in graph if node != "ask"} | ASKS
    execution = begin(harness, waits, graph)
    timers = keys.of().timers("wait")
    (members,) = harness.client.execute_together(("ZRANGE", timers, 0, -1))
    harness.client.execute_together(*(("ZADD", timers, 10**14, member) for member in members))
    reads = RedisWaiting(harness.api.state)
    found, cursor = list[str](), ""
    while True:
        waiters, following = reads.waiters(cursor, 2)
        found += [waiter.timer.node for waiter in waiters]
        if following is None:
            break
        cursor = following
    assert sorted(found) == sorted(graph)
    assert len(found) == len(graph)
    harness.cancel(execution)


def test_a_list_says_what_an_execution_waits_for(harness: Harness) -> None:
    """Of several nodes, the one whose time is over first."""
    begin(harness, ASKS, LINE)
    (shown,) = harness.api.executions.list(WantedExecutions(), limit=5).items
    assert shown.waiting_for
    assert (shown.waiting_for.kind, shown.waiting_for.node) == ("approval", "ask")


def test_what_was_decided_is_among_the_events(harness: Harness) -> None:
    """With the comment."""
    execution = begin(harness, ASKS, LINE)
    decide(harness, execution, YES)
    (done,) = [e for e in check(harness.client, execution).events if e.kind == "node_completed"]
    assert done.explanation == "go"
