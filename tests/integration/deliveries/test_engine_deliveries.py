"""Results that are sent to a `callback_url`: what starts it, what goes on, and what breaks in the middle."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from flowengine.engine.delivering.lost_deliveries import SILENT_MS
from flowengine.engine.delivering.ports import Answered, Outgoing
from flowengine.engine.delivering.sender import Sender
from flowengine.errors import ExecutionNotFoundError
from flowengine.execution.delivery.views import DeliveryView
from flowengine.execution.views.executions import ResultsView
from flowengine.store.delivering.delivery_state import RedisSending
from flowengine.workflow.stages import Stages
from tests.support.checks.invariants import check
from tests.support.rigs.harness import Entry, Harness, diamond, failing_in, plan_of

URL = "https://hooks.example.com/x?token=t0ken"
CHAIN = {"a": (), "b": ("a",)}
HOOKED = {"a": (), "tidy": ()}


def deliveries(harness: Harness, execution: str) -> Sequence[DeliveryView]:
    """The deliveries of an execution, as callers see them."""
    return harness.api.executions.deliveries(execution).items


def answering(*codes: int | None) -> list[Answered]:
    """What a receiver answers in turn; None: nothing."""
    return [
        Answered(code, None if code is not None and code < 300 else f"answered {code}", 7) for code in codes
    ]


def receive(harness: Harness, *codes: int | None) -> None:
    """Let the receiver answer so, and in the end as it did last."""
    left = answering(*codes)
    harness.receiver = lambda outgoing: left.pop(0) if len(left) > 1 else left[0]


def of_kind(harness: Harness, queue: str, actor: str) -> list[Entry]:
    """The messages for this actor that wait."""
    return [entry for entry in harness.waiting(queue) if entry.actor == actor]


def to_its_end(harness: Harness, count: int = 1) -> list[Entry]:
    """Let every node run; the messages that send results, which wait then."""
    harness.start_executions()
    while len(found := of_kind(harness, "worker", "deliver_results")) < count:
        for task in of_kind(harness, "worker", "run_node"):
            harness.deliver(harness.workers[0], task)
        for callback in harness.callbacks():
            harness.deliver(harness.orchestrators[0], callback)
    return found


@pytest.mark.proves("callback-results-sent")
def test_results_are_sent_once_an_execution_has_ended(harness: Harness) -> None:
    """The body is what the route of the results answers; nobody is called before."""
    execution = harness.begin(plan_of(diamond()), callback_url=URL)
    assert deliveries(harness, execution) == ()
    harness.drain()
    (sent,) = harness.received
    assert (sent.url, sent.webhook_id) == (URL, f"{execution}-1")
    body = msgspec.json.decode(sent.body, type=ResultsView)
    assert sent.body == msgspec.json.encode(harness.api.executions.results(execution))
    assert (body.status, set(body.results)) == ("completed", {"a", "b", "c", "d"})
    (shown,) = deliveries(harness, execution)
    assert (shown.state, shown.run, shown.attempt_count, shown.next_at) == ("delivered", 1, 1, None)
    assert shown.url == "https://hooks.example.com/x?token=***"
    assert [(each.status_code, each.error, each.duration_ms) for each in shown.attempts] == [(200, None, 1)]


def test_an_execution_without_one_sends_nothing_and_has_no_deliveries(harness: Harness) -> None:
    """Nor has it a key for them."""
    execution = harness.begin(plan_of(CHAIN))
    harness.drain()
    assert (harness.received, deliveries(harness, execution)) == ([], ())
    assert not harness.client.exists(harness.keys.deliveries(execution), harness.keys.delivering)


def test_deliveries_of_what_is_not_there_are_not_found(harness: Harness) -> None:
    """As of any execution."""
    with pytest.raises(ExecutionNotFoundError):
        harness.api.executions.deliveries("0" * 27)


@pytest.mark.proves("callback-results-sent")
def test_each_run_that_ends_is_delivered_with_its_own_id(harness: Harness) -> None:
    """A failed run, then the one that puts it right."""
    harness.script = failing_in(1, "b")
    execution = harness.begin(plan_of(CHAIN), callback_url=URL)
    harness.drain()
    harness.trigger(execution)
    harness.drain()
    statuses = [msgspec.json.decode(sent.body)["status"] for sent in harness.received]
    assert statuses == ["failed", "completed"]
    assert [sent.webhook_id for sent in harness.received] == [f"{execution}-1", f"{execution}-2"]
    assert [(each.run, each.state) for each in deliveries(harness, execution)] == [
        (2, "delivered"),
        (1, "delivered"),
    ]


def test_a_cancelled_execution_is_delivered_after_its_hooks(harness: Harness) -> None:
    """`finally` has ended by then, and its results are in the body."""
    execution = harness.begin(plan_of(HOOKED, stages=Stages(finally_=1)), callback_url=URL)
    harness.start_executions()
    harness.cancel(execution)
    harness.drain()
    (sent,) = harness.received
    body = msgspec.json.decode(sent.body)
    assert (body["status"], set(body["hooks"]["results"])) == ("cancelled", {"tidy"})


def test_one_that_is_cancelled_before_its_first_trigger_is_delivered_too(harness: Harness) -> None:
    """It has ended, and its caller may wait for that."""
    execution = harness.create(plan_of(CHAIN), callback_url=URL)
    harness.cancel(execution)
    harness.drain()
    assert [msgspec.json.decode(sent.body)["status"] for sent in harness.received] == ["cancelled"]
    assert [each.run for each in deliveries(harness, execution)] == [0]


@pytest.mark.proves("delivery-sent-again")
def test_what_is_not_taken_is_sent_again_with_the_same_id(harness: Harness) -> None:
    """After pauses that a timer ends; every attempt is shown."""
    receive(harness, 500, None, 204)
    execution = harness.begin(plan_of(CHAIN), callback_url=URL)
    harness.drain()
    assert len(harness.received) == 3
    assert len({(sent.webhook_id, sent.body) for sent in harness.received}) == 1
    (shown,) = deliveries(harness, execution)
    assert (shown.state, shown.attempt_count) == ("delivered", 3)
    assert [(each.status_code, each.error) for each in shown.attempts] == [
        (500, "answered 500"),
        (None, "answered None"),
        (204, None),
    ]


def test_while_it_waits_it_says_for_when(harness: Harness) -> None:
    """And nothing is sent before."""
    receive(harness, 500, 200)
    execution = harness.begin(plan_of({"a": ()}), callback_url=URL)
    harness.deliver(harness.workers[0], *to_its_end(harness))
    harness.deliver(harness.orchestrators[0], *of_kind(harness, "orchestrator", "delivery_attempted"))
    (shown,) = deliveries(harness, execution)
    assert (shown.state, shown.attempt_count) == ("pending", 1)
    assert shown.next_at is not None
    assert len(harness.received) == 1


@pytest.mark.proves("delivery-gone")
def test_410_ends_it(harness: Harness) -> None:
    """No timer is left."""
    receive(harness, 410)
    execution = harness.begin(plan_of(CHAIN), callback_url=URL)
    harness.drain()
    (shown,) = deliveries(harness, execution)
    assert (shown.state, shown.why, len(harness.received)) == ("failed", "gone", 1)
    assert not harness.client.exists(harness.keys.timers("delivery"), harness.keys.delivering)


@pytest.mark.proves("delivery-worker-dies")
def test_a_worker_that_dies_after_the_call_sends_again_with_the_same_id(harness: Harness) -> None:
    """It has reported nothing: the message comes again, and the receiver tells the repetition by the id."""
    execution = harness.begin(plan_of(CHAIN), callback_url=URL)
    worker = harness.workers[0]

    def die(outgoing: Outgoing) -> Answered:
        worker.line.dead = len(harness.received) == 1
        return Answered(200, None, 1)

    harness.receiver = die
    harness.drain()
    assert harness.deaths == 1
    assert [sent.webhook_id for sent in harness.received] == [f"{execution}-1"] * 2
    (shown,) = deliveries(harness, execution)
    assert (shown.state, shown.attempt_count) == ("delivered", 1)


def test_a_report_that_comes_twice_counts_once(harness: Harness) -> None:
    """The second one is stale, by its number."""
    receive(harness, 500, 200)
    execution = harness.begin(plan_of({"a": ()}), callback_url=URL)
    (message,) = to_its_end(harness)
    harness.deliver(harness.workers[0], message)
    (report,) = of_kind(harness, "orchestrator", "delivery_attempted")
    fields = harness.client.xrange(harness.stream("orchestrator"), report.id, report.id)[0][1]
    harness.client.xadd(harness.stream("orchestrator"), fields)
    for entry in of_kind(harness, "orchestrator", "delivery_attempted"):
        harness.deliver(harness.orchestrators[0], entry)
    (shown,) = deliveries(harness, execution)
    assert (shown.state, shown.attempt_count, len(shown.attempts)) == ("pending", 1, 1)
    assert harness.client.zcard(harness.keys.timers("delivery")) == 1


@pytest.mark.proves("delivery-overtaken")
def test_a_run_that_is_repeated_before_it_was_delivered_is_not_sent_any_more(harness: Harness) -> None:
    """Its results are being replaced: the next run's are sent when it ends."""
    harness.script = failing_in(1, "b")
    execution = harness.begin(plan_of(CHAIN), callback_url=URL)
    found = to_its_end(harness)
    harness.trigger(execution)
    harness.deliver(harness.workers[0], *found)
    assert harness.received == []
    harness.drain()
    assert [msgspec.json.decode(sent.body)["status"] for sent in harness.received] == ["completed"]
    shown = {each.run: (each.state, each.why) for each in deliveries(harness, execution)}
    assert shown == {1: ("failed", "overtaken"), 2: ("delivered", None)}


@pytest.mark.proves("delivery-execution-gone")
def test_a_delivery_whose_execution_is_gone_ends_quietly(harness: Harness) -> None:
    """Whatever of it waits is let go, and nobody is called."""
    receive(harness, 500)
    execution = harness.begin(plan_of({"a": ()}), callback_url=URL)
    (message,) = to_its_end(harness)
    keys = harness.keys
    gone = [keys.control(execution), *keys.own(execution), *keys.sent(execution), *keys.beside(execution)]
    harness.client.delete(*gone, keys.node(execution, "a"))
    harness.client.zrem(keys.index("completed"), execution)
    for name in (keys.listing("completed"), keys.list_by):
        harness.client.delete(name)
    harness.deliver(harness.workers[0], message)
    assert harness.received == []
    make_silent(harness)
    assert harness.orchestrators[0].sweep.run() == 0
    assert not harness.client.exists(keys.delivering)


@pytest.mark.proves("delivery-execution-gone")
@pytest.mark.parametrize("when", ["before it is sent", "by force"])
def test_nothing_is_sent_of_an_execution_that_is_deleted(harness: Harness, when: str) -> None:
    """Nor is a key of its deliveries left."""
    execution = harness.begin(plan_of({"a": ()}), callback_url=URL)
    if when == "before it is sent":
        to_its_end(harness)
        harness.delete(execution)
    else:
        harness.start_executions()
        harness.delete(execution, force=True)
    harness.drain()
    assert harness.received == []
    assert not harness.client.exists(harness.keys.deliveries(execution))
    make_silent(harness)
    harness.orchestrators[0].sweep.run()
    assert not harness.client.exists(harness.keys.delivering)


def make_silent(harness: Harness) -> None:
    """As if all deliveries that are not over had done nothing for a while."""
    key = harness.keys.delivering
    long_ago = harness.now() - 2 * SILENT_MS
    for member in harness.client.zrange(key, 0, -1):
        harness.client.zadd(key, {member: long_ago})


@pytest.mark.proves("delivery-message-lost")
def test_a_delivery_whose_message_is_lost_is_found_by_the_sweep(harness: Harness) -> None:
    """It is sent as the attempt whose turn it was, and counted as a repair."""
    execution = harness.begin(plan_of({"a": ()}), callback_url=URL)
    to_its_end(harness)
    harness.client.delete(harness.stream("worker"))
    harness.client.xgroup_create(harness.stream("worker"), "fe", id="0", mkstream=True)
    sweep = harness.orchestrators[0].sweep
    assert sweep.run() == 0
    make_silent(harness)
    assert sweep_often(harness) == 1
    harness.drain()
    assert [each.state for each in deliveries(harness, execution)] == ["delivered"]
    assert [sent.webhook_id for sent in harness.received] == [f"{execution}-1"]


@pytest.mark.proves("delivery-message-lost")
def test_the_sweep_leaves_alone_what_waits_in_a_queue_or_for_its_timer(harness: Harness) -> None:
    """However long that takes: a second message would be one call more."""
    receive(harness, 500, 200)
    harness.begin(plan_of({"a": ()}), callback_url=URL)
    to_its_end(harness)
    (message,) = of_kind(harness, "worker", "deliver_results")
    make_silent(harness)
    assert sweep_often(harness) == 0
    harness.deliver(harness.workers[0], message)
    assert sweep_often(harness) == 0
    harness.deliver(harness.orchestrators[0], *of_kind(harness, "orchestrator", "delivery_attempted"))
    make_silent(harness)
    assert sweep_often(harness) == 0
    assert len(harness.received) == 1


def sweep_often(harness: Harness) -> int:
    """As often as it takes to find what is lost; returns how much was repaired."""
    return sum(harness.orchestrators[0].sweep.run() for _ in range(4))


def test_a_member_that_nobody_can_read_is_dropped_alone(harness: Harness) -> None:
    """It holds up no other."""
    harness.client.zadd(harness.keys.delivering, {"odd": 1, b"\xff|1": 1, "x|y": 1})
    assert harness.orchestrators[0].sweep.run() == 0
    assert not harness.client.exists(harness.keys.delivering)


@pytest.mark.proves("delivery-many-slow")
def test_of_many_deliveries_a_worker_makes_some_at_a_time_and_puts_the_others_off(harness: Harness) -> None:
    """Receivers that do not answer leave threads for nodes."""
    executions = [harness.begin(plan_of({"a": ()}), callback_url=URL) for _ in range(2)]
    first, second = to_its_end(harness, 2)
    worker = harness.workers[0]
    worker.sender = Sender(RedisSending(worker.state), harness.receive, lambda: 0.5, at_once=1)

    def meanwhile(outgoing: Outgoing) -> Answered:
        if len(harness.received) == 1:
            harness.deliver(worker, second)
            assert harness.client.zcard(harness.keys.timers("delivery")) == 1
        return Answered(200, None, 1)

    harness.receiver = meanwhile
    harness.deliver(worker, first)
    assert len(harness.received) == 1
    harness.drain()
    assert {deliveries(harness, each)[0].state for each in executions} == {"delivered"}


def test_large_results_are_not_sent_but_told_of(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """The receiver fetches them: a worker holds no 64 MiB for each call."""
    monkeypatch.setattr("flowengine.engine.delivering.sender.MAX_RESULT_BYTES", -1)
    execution = harness.begin(plan_of(CHAIN), callback_url=URL)
    harness.drain()
    (sent,) = harness.received
    body = msgspec.json.decode(sent.body)
    assert (body["execution_id"], body["status"], body["cut"]) == (execution, "completed", True)
    assert (body["results"], body["errors"], body["outputs"]) == ({}, {}, None)


@pytest.mark.proves("delivery-key-expires")
def test_deliveries_expire_with_their_execution_and_stay_while_it_runs(harness: Harness) -> None:
    """They are among the keys that every end and every trigger names."""
    harness.script = failing_in(1, "b")
    execution = harness.create(plan_of(CHAIN), callback_url=URL)
    key, plan = harness.keys.deliveries(execution), harness.keys.plan(execution)
    assert harness.client.expiretime(key) == harness.client.expiretime(plan) > 0
    harness.trigger(execution)
    assert harness.client.ttl(key) == -1
    harness.drain()
    assert harness.client.expiretime(key) == harness.client.expiretime(plan) > 0
    harness.trigger(execution)
    assert harness.client.ttl(key) == -1
    harness.drain()
    check(harness.client, execution)


def test_a_run_that_begins_while_the_results_are_read_keeps_them_from_being_sent(harness: Harness) -> None:
    """A body that is read while the next run begins is thrown away, and nobody is called with it."""
    harness.script = failing_in(1, "b")
    execution = harness.begin(plan_of(CHAIN), callback_url=URL)
    found = to_its_end(harness)
    worker = harness.workers[0]
    read = worker.state.node_results

    def meanwhile(name: str, nodes: Sequence[str]) -> object:
        harness.trigger(execution)
        return read(name, nodes)

    worker.state.node_results = meanwhile  # type: ignore[method-assign,assignment]  # between two reads
    harness.deliver(worker, *found)
    del worker.state.node_results
    assert harness.received == []
