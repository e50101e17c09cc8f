"""Callbacks: the first one that comes to a node's URL decides how the node ends, whenever it comes."""

from __future__ import annotations

import msgspec
import pytest

from flowengine.engine.commands.answering.call_back import Carried
from flowengine.engine.commands.answering.payload_check import PayloadInvalidError
from flowengine.engine.commands.rerun import RerunAsked
from flowengine.errors import CallbackGoneError, CallbackNotFoundError
from flowengine.execution.records import NodeError
from flowengine.execution.rules.steering.overruling import Complete, Fail, Skip, Word
from flowengine.execution.rules.steering.rerunning import Wanted
from flowengine.plugin import Context, HandlerError, Later
from flowengine.store import keys
from flowengine.workflow.plan import Plan
from flowengine.workflow.policy import Retry
from flowengine.workflow.waits.wait_policy import WaitPolicy
from tests.integration.waits.test_engine_signals import result_of
from tests.integration.waits.test_engine_waits import settle, view_of, wait_for_it
from tests.support.checks.invariants import check_everything
from tests.support.checks.reference_model import Graph
from tests.support.group_plans import adds, group, plan_from
from tests.support.rigs.harness import ApiProcess, Harness, plan_of

LINE: Graph = {"ask": (), "after": ("ask",)}
BASE = "https://flow.example/api"
PAID = Carried(b'{"paid":7}')
FAILS = Carried(error=NodeError("unreadable", "no text in it"))
BOTH = {"ask": "completed", "after": "completed"}
RETRY = Retry(max_attempts=3, delay_ms=60_000, only=("all",))


def plan(retry: Retry | None = None, **said: object) -> Plan:
    """A node that waits for a callback, and one behind it."""
    waits = msgspec.structs.replace(WaitPolicy("callback", url=BASE), **said)
    made = plan_of(LINE, waits={"ask": waits})
    return msgspec.structs.replace(made, policies={0: msgspec.structs.replace(made.policies[0], retry=retry)})


def begin(harness: Harness, made: Plan | None = None) -> str:
    """An execution whose node waits for its callback."""
    execution = harness.begin(made or plan())
    wait_for_it(harness, execution)
    return execution


def token_of(context: Context) -> str:
    """The token of the URL that a handler was given."""
    return (context.callback_url or "").rpartition("/")[2]


def tokens(harness: Harness) -> list[str]:
    """What has been handed out, call by call."""
    calls = [call for worker in harness.workers for call in worker.invoker.calls]
    return [token_of(call) for call in calls if call.callback_url is not None]


def call_back(harness: Harness, token: str | None = None, carried: Carried = PAID) -> None:
    """What the service does that was given the URL."""
    assert harness.api.executions.call_back(token or tokens(harness)[-1], carried).accepted


def answered(value: object, response: object) -> dict[str, object]:
    """The output of a node to which this has come."""
    return {"result": value, "response": response, "timed_out": False}


@pytest.mark.proves("callback-once")
def test_a_callback_completes_the_node_that_waits_for_it(harness: Harness) -> None:
    """With what it carries and what the handler gave; its timer goes, and nothing else is kept."""
    execution = begin(harness)
    shown = view_of(harness, execution, "ask").waiting_for
    assert shown
    assert shown.kind == "callback"
    call_back(harness)
    assert harness.statuses(execution) == {"ask": "completed", "after": "pending"}
    settle(harness)
    assert harness.statuses(execution) == BOTH
    assert result_of(harness, execution, "ask") == answered({"paid": 7}, {"result": 1})
    assert not harness.client.exists(keys.of().timers("wait"))
    assert not harness.client.hexists(f"fe:x:{execution}:node:ask", "response")
    check_everything(harness.client)


@pytest.mark.proves("callback-once")
def test_a_second_callback_comes_too_late(harness: Harness) -> None:
    """Before and after the execution has ended, and whatever it carries."""
    execution = begin(harness)
    call_back(harness)
    for _ in range(2):
        with pytest.raises(CallbackGoneError):
            call_back(harness, carried=FAILS)
        settle(harness)
    assert result_of(harness, execution, "ask") == answered({"paid": 7}, {"result": 1})


@pytest.mark.proves("callback-once")
def test_two_callbacks_at_once(harness: Harness) -> None:
    """One falls between the reads and the writes of the other: it counts."""
    execution = begin(harness)
    other = ApiProcess("api-2", harness)
    harness.api.state.between = lambda: other.executions.call_back(tokens(harness)[-1], FAILS)
    with pytest.raises(CallbackGoneError):
        call_back(harness)
    other.close()
    settle(harness)
    assert harness.statuses(execution) == {"ask": "failed", "after": "failed"}


def test_a_callback_may_tell_of_a_failure(harness: Harness) -> None:
    """With its own code and message; it is not tried again, as the URL is used."""
    execution = begin(harness, plan(RETRY))
    call_back(harness, carried=FAILS)
    settle(harness)
    assert harness.statuses(execution) == {"ask": "failed", "after": "failed"}
    error = harness.api.executions.results(execution).errors["ask"]
    assert (error.code, error.message) == ("unreadable", "no text in it")
    check_everything(harness.client)


def test_what_does_not_match_the_schema_is_refused_and_not_kept(harness: Harness) -> None:
    """The right one counts then."""
    execution = begin(harness, plan(schema='{"required":["paid"]}'))
    with pytest.raises(PayloadInvalidError):
        call_back(harness, carried=Carried(b'{"payed":7}'))
    call_back(harness)
    settle(harness)
    assert harness.statuses(execution) == BOTH


@pytest.mark.proves("callback-token")
def test_a_token_that_was_given_out_is_known_before_and_after_its_callback(harness: Harness) -> None:
    """None that is like it is, nor one of an execution that is gone."""
    execution = begin(harness)
    executions = harness.api.executions
    token = tokens(harness)[-1]
    assert executions.was_given_out(token)
    other = token[:-1] + ("A" if token[-1] != "A" else "B")
    assert [executions.was_given_out(text) for text in (other, "x", f"x{token}", "")] == [False] * 4
    call_back(harness)
    settle(harness)
    assert executions.was_given_out(token)
    harness.delete(execution)
    harness.drain()
    assert not executions.was_given_out(token)


@pytest.mark.proves("callback-token")
def test_tokens_that_were_never_given_out_are_unknown(harness: Harness) -> None:
    """Neither a changed one, nor that of another execution, nor of one that is not there."""
    execution = begin(harness)
    right = tokens(harness)[-1]
    owner, node, run, proof = right.split(".")
    wrong = "A" if proof[0] != "A" else "B"
    changed = [f"{owner}.{node}.{run}.{wrong}{proof[1:]}", f"{owner}.1.{run}.{proof}", f"{owner}.0.2.{proof}"]
    other = begin(harness)
    changed += [f"{other}.{node}.{run}.{proof}", f"{'0' * 27}.{node}.{run}.{proof}", "", "x", right * 2]
    for token in changed:
        with pytest.raises(CallbackNotFoundError):
            harness.api.executions.call_back(token, PAID)
    assert harness.statuses(execution)["ask"] == "waiting"


@pytest.mark.proves("callback-token")
def test_nothing_that_is_stored_holds_the_token(harness: Harness) -> None:
    """Only the seed is, beside the execution's inputs."""
    execution = begin(harness)
    token = tokens(harness)[-1].encode()
    proof = token.rpartition(b".")[2]
    for name in harness.client.scan_iter("*"):
        assert proof not in name
        assert proof not in harness.client.dump(name)
    assert harness.client.hkeys(f"fe:x:{execution}:inputs") == [b"seed"]


@pytest.mark.proves("callback-holds-nothing")
def test_a_wait_for_a_callback_holds_no_message_and_takes_less_than_a_kilobyte(harness: Harness) -> None:
    """Its record with the seed and its timer."""
    execution = begin(harness)
    assert not harness.waiting("orchestrator")
    assert not harness.tasks()
    names = (f"fe:x:{execution}:node:ask", f"fe:x:{execution}:inputs", "fe:timers:wait")
    assert sum(harness.client.memory_usage(name) for name in names) < 1024


# -- before the node waits


@pytest.mark.proves("callback-early")
@pytest.mark.parametrize("carried", [PAID, FAILS])
@pytest.mark.parametrize("ends", ["returns", "fails", "puts off"])
def test_a_callback_that_comes_while_the_handler_runs_decides(
    harness: Harness, ends: str, carried: Carried
) -> None:
    """Whatever becomes of the handler; it is not tried again."""

    def early(context: Context) -> None:
        if context.node_id != "ask":
            return
        call_back(harness, carried=carried)
        if ends == "fails":
            raise HandlerError("connection_failed", "the answer was lost")
        if ends == "puts off":
            raise Later(60)

    harness.script = early
    execution = harness.begin(plan(RETRY))
    wait_for_it(harness, execution)
    status = "completed" if carried is PAID else "failed"
    assert harness.statuses(execution) == {"ask": status, "after": status}
    if carried is PAID:
        response = {"result": 1} if ends == "returns" else None
        assert result_of(harness, execution, "ask") == answered({"paid": 7}, response)
    assert len(tokens(harness)) == 1
    with pytest.raises(CallbackGoneError):
        call_back(harness)
    check_everything(harness.client)


@pytest.mark.proves("callback-early")
def test_an_early_callback_falls_between_a_report_and_its_transaction(harness: Harness) -> None:
    """The report is decided anew, with the callback."""
    execution = harness.begin(plan())
    harness.start_executions()
    harness.run_tasks("ask")
    (report,) = harness.callbacks()
    process = harness.orchestrators[0]
    process.state.between = lambda: call_back(harness)
    assert harness.deliver(process, report)
    settle(harness)
    assert harness.statuses(execution) == BOTH


@pytest.mark.proves("callback-early")
def test_a_callback_ends_the_pause_before_another_try(harness: Harness) -> None:
    """The handler has failed after the service had taken the URL."""
    failing = [True]

    def fails_once(context: Context) -> None:
        if context.node_id == "ask" and failing.pop() if failing else False:
            raise HandlerError("connection_failed", "the answer was lost")

    harness.script = fails_once
    execution = begin(harness, plan(RETRY))
    assert harness.statuses(execution)["ask"] == "waiting"
    call_back(harness)
    settle(harness)
    assert harness.statuses(execution) == BOTH
    assert result_of(harness, execution, "ask") == answered({"paid": 7}, None)
    assert not harness.client.exists(keys.of().timers("retry"))
    check_everything(harness.client)


@pytest.mark.proves("callback-token")
def test_all_tries_and_deliveries_of_a_run_have_one_url_and_the_next_run_another(harness: Harness) -> None:
    """The old one is gone then, and stays so."""
    failing = [True, True]

    def fails_twice(context: Context) -> None:
        if context.node_id == "ask" and failing:
            failing.pop()
            raise HandlerError("connection_failed", "the answer was lost")

    harness.script = fails_twice
    execution = harness.begin(plan(RETRY))
    wait_for_it(harness, execution)
    for _ in range(2):
        assert harness.end_pauses() == 1
        settle(harness)
    assert len(tokens(harness)) == 3
    assert len(set(tokens(harness))) == 1
    first = tokens(harness)[0]
    harness.cancel(execution)
    settle(harness)
    harness.api.executions.rerun(execution, RerunAsked(Wanted("all")))
    settle(harness)
    assert tokens(harness)[-1] != first
    with pytest.raises(CallbackGoneError):
        call_back(harness, first)
    call_back(harness)
    settle(harness)
    assert harness.statuses(execution) == BOTH
    with pytest.raises(CallbackGoneError):
        call_back(harness, first)
    check_everything(harness.client)


# -- against all else that ends a wait


@pytest.mark.proves("callback-and-timeout")
@pytest.mark.parametrize("continues", [False, True])
@pytest.mark.parametrize("first", ["callback", "timeout"])
def test_a_callback_and_the_timeout_at_once(harness: Harness, first: str, continues: bool) -> None:
    """The first one ends the wait."""
    execution = begin(harness, plan(continues=continues))
    harness.end_waits()
    (timer,) = harness.waiting("orchestrator")
    process = harness.orchestrators[0]
    if first == "callback":
        process.state.between = lambda: call_back(harness)
        assert harness.deliver(process, timer)
    else:
        harness.api.state.between = lambda: harness.deliver(process, timer)
        with pytest.raises(CallbackGoneError):
            call_back(harness)
    settle(harness)
    if first == "callback":
        assert result_of(harness, execution, "ask") == answered({"paid": 7}, {"result": 1})
    elif continues:
        late = {"result": {"timed_out": True}, "response": {"result": 1}, "timed_out": True}
        assert result_of(harness, execution, "ask") == late
    else:
        assert harness.statuses(execution) == {"ask": "failed", "after": "failed"}
        assert harness.api.executions.results(execution).errors["ask"].code == "timeout"
    assert not harness.client.hexists(f"fe:x:{execution}:node:ask", "response")
    check_everything(harness.client)


@pytest.mark.proves("callback-and-stop")
def test_a_stop_ends_the_wait_and_its_url(harness: Harness) -> None:
    """From its mark on, not only once the node is cancelled."""
    execution = begin(harness)
    harness.cancel(execution)
    with pytest.raises(CallbackGoneError):
        call_back(harness)
    settle(harness)
    assert harness.statuses(execution) == {"ask": "cancelled", "after": "cancelled"}
    with pytest.raises(CallbackGoneError):
        call_back(harness)
    check_everything(harness.client)


@pytest.mark.proves("callback-paused")
def test_a_callback_is_taken_during_a_pause(harness: Harness) -> None:
    """What follows waits for the resume."""
    execution = begin(harness)
    harness.api.executions.pause(execution)
    call_back(harness)
    settle(harness)
    assert harness.statuses(execution) == {"ask": "completed", "after": "pending"}
    harness.api.executions.resume(execution)
    settle(harness)
    assert harness.statuses(execution) == BOTH


@pytest.mark.parametrize(
    ("word", "status"),
    [(Complete(msgspec.Raw(b'{"result":1}')), "completed"), (Fail(), "failed"), (Skip(), "skipped")],
)
def test_an_operator_ends_the_wait_and_its_url(harness: Harness, word: Word, status: str) -> None:
    """What the handler gave goes, and its bytes are counted no more."""
    harness.script = lambda context: None
    execution = begin(harness)
    assert harness.overrule(execution, "ask", word) == status
    with pytest.raises(CallbackGoneError):
        call_back(harness)
    settle(harness)
    assert not harness.client.hexists(f"fe:x:{execution}:node:ask", "response")
    check_everything(harness.client)


@pytest.mark.proves("callback-worker-lost")
def test_a_worker_that_is_lost_after_the_service_was_asked(harness: Harness) -> None:
    """The task comes again with the same URL; the callback that has come meanwhile decides."""
    execution = harness.begin(plan())
    harness.start_executions()
    (task,) = harness.tasks()

    given: list[str] = []

    def calls_back_and_dies(context: Context) -> None:
        if context.node_id != "ask":
            return
        given.append(token_of(context))
        if len(given) == 1:
            harness.workers[0].line.dead = True
            call_back(harness, given[0])

    harness.script = calls_back_and_dies
    assert not harness.deliver(harness.workers[0], task)
    settle(harness)
    assert given == [given[0]] * 2
    assert harness.statuses(execution) == BOTH
    with pytest.raises(CallbackGoneError):
        call_back(harness, given[0])
    check_everything(harness.client)


def test_what_the_handler_gave_counts_while_it_is_stored(harness: Harness) -> None:
    """Once: it is freed by a stop, and by the callback, whose output counts then."""
    made = plan_of(LINE, waits={"ask": WaitPolicy("callback", url=BASE)})
    big = msgspec.Raw(msgspec.json.encode({"inputs": [], "value": "x" * 10_000}))
    node = made.nodes[0]
    task = msgspec.structs.replace(node.work, handler="set", config=big)
    nodes = (msgspec.structs.replace(node, work=task), *made.nodes[1:])

    def counted(execution: str) -> int:
        return int(harness.client.hget(f"fe:x:{execution}:counts", "bytes") or 0)

    execution = begin(harness, msgspec.structs.replace(made, nodes=nodes))
    assert counted(execution) > 10_000
    harness.cancel(execution)
    settle(harness)
    assert counted(execution) == 0
    check_everything(harness.client)
    harness.trigger(execution)
    settle(harness)
    call_back(harness)
    settle(harness)
    assert harness.statuses(execution) == BOTH
    assert counted(execution) > 10_000
    check_everything(harness.client)


# -- in groups


@pytest.mark.proves("callback-in-group")
def test_a_callback_to_a_node_in_a_group_lets_the_parent_go_on(harness: Harness) -> None:
    """Its token names the child execution, which has a seed of its own."""
    asks = adds("ask")
    asks["wait_for_callback"] = {"timeout_seconds": 60}
    execution = harness.begin(plan_from(nodes=[group("all", asks), adds("z", after=("all",))]))
    harness.start_executions()
    settle(harness)
    child = view_of(harness, execution, "all").child
    assert isinstance(child, str)
    assert harness.statuses(child) == {"ask": "waiting"}
    (url,) = [call.callback_url for call in harness.workers[0].invoker.calls if call.callback_url]
    token = url.removeprefix("/callbacks/")
    assert token.startswith(child)
    call_back(harness, token)
    settle(harness)
    assert harness.statuses(execution) == {"all": "completed", "z": "completed"}
    check_everything(harness.client)
