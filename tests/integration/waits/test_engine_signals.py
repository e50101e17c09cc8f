"""Signals: kept until a node takes them, in the order in which they came, each once."""

from __future__ import annotations

import msgspec
import pytest

from flowengine.engine.commands.answering.payload_check import PayloadInvalidError
from flowengine.engine.commands.rerun import RerunAsked
from flowengine.errors import SignalNotFoundError, SignalsFullError, WrongStateError
from flowengine.execution.rules.steering.rerunning import Wanted
from flowengine.execution.signals import MOST_KEPT_BYTES
from flowengine.queues import GROUP
from flowengine.store import keys
from flowengine.workflow.waits.wait_policy import WaitPolicy
from tests.integration.waits.test_engine_waits import settle, view_of, wait_for_it
from tests.support.checks.invariants import check, check_everything
from tests.support.checks.reference_model import Graph
from tests.support.rigs.harness import Entry, Harness, failing_in, plan_of

LINE: Graph = {"pay": (), "after": ("pay",)}
PAID = {"pay": WaitPolicy("signal", names=("paid",))}


def begin(harness: Harness, waits: dict[str, WaitPolicy], graph: Graph = LINE) -> str:
    """An execution whose nodes wait, as far as they do."""
    execution = harness.begin(plan_of(graph, waits=waits))
    wait_for_it(harness, execution)
    return execution


def result_of(harness: Harness, execution: str, node: str) -> object:
    """The output of a node."""
    return msgspec.json.decode(harness.api.executions.results(execution).results[node])


def kept(harness: Harness, execution: str) -> dict[bytes, bytes]:
    """What is stored of signals."""
    found: dict[bytes, bytes] = harness.client.hgetall(keys.of().signals(execution))
    return found


def carried(value: object) -> dict[str, object]:
    """The output of a node that has taken this."""
    return {"result": value, "timed_out": False}


def kept_messages(harness: Harness) -> list[Entry]:
    """The messages that bring signals and nodes together."""
    return [entry for entry in harness.waiting("orchestrator") if entry.actor == "signal_kept"]


@pytest.mark.proves("signal-taken-once")
def test_a_signal_completes_the_node_that_waits_for_it(harness: Harness) -> None:
    """With what it carries; its timer goes, and nothing of the signal is kept."""
    execution = begin(harness, PAID)
    assert view_of(harness, execution, "pay").waiting_for
    harness.signal(execution, "paid", b'{"order":7}')
    settle(harness)
    assert result_of(harness, execution, "pay") == carried({"order": 7})
    assert harness.statuses(execution) == {"pay": "completed", "after": "completed"}
    assert not harness.client.exists(keys.of().timers("wait"))
    assert set(kept(harness, execution)) == {b"n", b"b"}


@pytest.mark.proves("signal-early")
def test_signals_that_come_early_are_kept_and_taken_in_their_order(harness: Harness) -> None:
    """Each node takes one; the last stays."""
    graph: Graph = {"one": (), "two": ("one",)}
    waits = {name: WaitPolicy("signal", names=("go",)) for name in graph}
    execution = harness.begin(plan_of(graph, waits=waits))
    for number in (b"1", b"2", b"3"):
        harness.signal(execution, "go", number)
    settle(harness)
    assert [result_of(harness, execution, node) for node in graph] == [carried(1), carried(2)]
    assert kept(harness, execution)[b"b"] != b"0"


def test_of_several_names_the_first_signal_counts_and_is_named(harness: Harness) -> None:
    """In the order in which they came, not in that of the names."""
    waits = {"pay": WaitPolicy("signal", names=("paid", "refused"), several=True)}
    execution = harness.begin(plan_of(LINE, waits=waits))
    harness.signal(execution, "refused", b'"no money"')
    harness.signal(execution, "paid")
    settle(harness)
    assert result_of(harness, execution, "pay") == carried({"name": "refused", "payload": "no money"})


def test_the_node_that_has_waited_longest_takes_a_signal(harness: Harness) -> None:
    """Whatever its place in the document."""
    graph: Graph = {"late": ("first",), "first": (), "early": ()}
    waits = {name: WaitPolicy("signal", names=("go",)) for name in ("late", "early")}
    execution = begin(harness, waits, graph)
    times = {name: check(harness.client, execution).record(name).waits for name in ("late", "early")}
    assert times["late"]
    assert times["early"]
    longest = "early" if times["early"].since < times["late"].since else "late"
    harness.signal(execution, "go")
    settle(harness)
    statuses = harness.statuses(execution)
    assert statuses[longest] == "completed"
    assert sorted(statuses.values()) == ["completed", "completed", "waiting"]
    harness.signal(execution, "go")


def test_a_signal_that_nobody_waits_for_is_refused_with_the_nearest_name(harness: Harness) -> None:
    """Names are literals of the document."""
    execution = begin(harness, PAID)
    with pytest.raises(SignalNotFoundError, match="did you mean 'paid'"):
        harness.signal(execution, "pad")


def test_a_payload_of_the_wrong_shape_is_refused_and_not_kept(harness: Harness) -> None:
    """Each place is named."""
    schema = '{"type":"object","properties":{"order":{"type":"integer"}},"required":["order"]}'
    execution = begin(harness, {"pay": WaitPolicy("signal", names=("paid",), schema=schema)})
    with pytest.raises(PayloadInvalidError) as refused:
        harness.signal(execution, "paid", b'{"order":"7"}')
    assert [problem.pointer for problem in refused.value.problems] == ["/order"]
    assert kept(harness, execution) == {}
    harness.signal(execution, "paid", b'{"order":7}')


def test_no_more_than_a_mebibyte_is_kept(harness: Harness) -> None:
    """What is taken makes room."""
    execution = harness.begin(plan_of({"first": (), "pay": ("first",)}, waits=PAID))
    half = b'"%b"' % (b"x" * (MOST_KEPT_BYTES // 2 - 200))
    harness.signal(execution, "paid", half)
    harness.signal(execution, "paid", half)
    with pytest.raises(SignalsFullError, match="1048576"):
        harness.signal(execution, "paid", half)
    settle(harness)
    with pytest.raises(WrongStateError):
        harness.signal(execution, "paid", half)


def test_what_does_not_run_takes_no_signals(harness: Harness) -> None:
    """Neither before its start nor while it is being stopped, nor after its end."""
    execution = harness.create(plan_of(LINE, waits=PAID))
    with pytest.raises(WrongStateError, match="pending"):
        harness.signal(execution, "paid")
    harness.trigger(execution)
    harness.cancel(execution)
    with pytest.raises(WrongStateError, match="being stopped"):
        harness.signal(execution, "paid")


@pytest.mark.proves("signal-kept-over-runs")
def test_signals_are_kept_over_another_trigger_and_a_taken_one_does_not_come_back(harness: Harness) -> None:
    """The first run takes one and fails; the second takes the next."""
    graph: Graph = {"pay": (), "fails": ("pay",)}
    harness.script = failing_in(1, "fails")
    execution = begin(harness, PAID, graph)
    harness.signal(execution, "paid", b"1")
    harness.signal(execution, "paid", b"2")
    settle(harness)
    assert harness.api.executions.status(execution).status == "failed"
    assert harness.client.ttl(keys.of().signals(execution)) > 0
    harness.overrule_all = None  # type: ignore[attr-defined]
    harness.api.executions.rerun(execution, RerunAsked(Wanted("all")))
    assert harness.client.ttl(keys.of().signals(execution)) == -1
    settle(harness)
    assert result_of(harness, execution, "pay") == carried(2)


@pytest.mark.proves("signal-paused")
def test_a_signal_counts_while_its_execution_is_paused(harness: Harness) -> None:
    """What follows is dispatched when it goes on."""
    execution = begin(harness, PAID)
    harness.api.executions.pause(execution)
    harness.signal(execution, "paid")
    settle(harness)
    assert harness.statuses(execution) == {"pay": "completed", "after": "pending"}
    harness.api.executions.resume(execution)
    settle(harness)
    assert harness.statuses(execution) == {"pay": "completed", "after": "completed"}


@pytest.mark.proves("signal-and-timeout")
@pytest.mark.parametrize("first", ["signal", "timeout"])
@pytest.mark.parametrize("continues", [False, True])
def test_a_signal_and_the_timeout_at_once(harness: Harness, first: str, continues: bool) -> None:
    """The one that comes first ends the wait; a signal that comes later stays kept."""
    waits = {"pay": WaitPolicy("signal", names=("paid",), continues=continues)}
    execution = begin(harness, waits, {"pay": (), "beside": (), "last": ("beside", "pay")})
    harness.end_waits()
    (timer,) = harness.waiting("orchestrator")
    harness.signal(execution, "paid")
    (signal,) = kept_messages(harness)
    earlier, later = (signal, timer) if first == "signal" else (timer, signal)
    one, other = harness.orchestrators[0], harness.second_orchestrator()
    one.state.between = lambda: harness.deliver(other, earlier)
    assert harness.deliver(one, later)
    settle(harness)
    timed_out = {"result": {"timed_out": True}, "timed_out": True}
    if first == "signal":
        assert result_of(harness, execution, "pay") == carried(1)
    elif continues:
        assert result_of(harness, execution, "pay") == timed_out
    else:
        error = harness.api.executions.results(execution).errors["pay"]
        assert error.code == "timeout"
    assert (b"s:1" in kept(harness, execution)) == (first == "timeout")


@pytest.mark.proves("signal-taken-once")
def test_two_orchestrators_give_a_signal_to_one_node(harness: Harness) -> None:
    """Each has a message; of two nodes that wait, one takes it."""
    graph: Graph = {"one": (), "two": ()}
    waits = {name: WaitPolicy("signal", names=("go",)) for name in graph}
    execution = begin(harness, waits, graph)
    harness.signal(execution, "go")
    (message,) = kept_messages(harness)
    first, second = harness.orchestrators[0], harness.second_orchestrator()
    first.state.between = lambda: harness.deliver(second, message)
    assert harness.deliver(first, message)
    settle(harness)
    assert sorted(harness.statuses(execution).values()) == ["completed", "waiting"]
    harness.signal(execution, "go")


@pytest.mark.proves("signal-and-wait")
def test_a_signal_that_comes_while_its_node_begins_to_wait(harness: Harness) -> None:
    """Between the reads and the writes of the report: one of the two messages finds both."""
    execution = harness.begin(plan_of(LINE, waits=PAID))
    harness.start_executions()
    harness.run_tasks("pay")
    first = harness.orchestrators[0]
    first.state.between = lambda: harness.signal(execution, "paid")
    assert harness.deliver(first, *harness.callbacks())
    settle(harness)
    assert harness.statuses(execution)["pay"] == "completed"


@pytest.mark.proves("signal-lost")
@pytest.mark.corrupts("takes a message away")
def test_the_sweep_brings_together_what_nobody_has(harness: Harness) -> None:
    """Both are there, and their message has vanished: it counts as a repair."""
    execution = begin(harness, PAID)
    harness.signal(execution, "paid")
    (message,) = kept_messages(harness)
    harness.client.xack(harness.stream("orchestrator"), GROUP, message.id)
    harness.client.xdel(harness.stream("orchestrator"), message.id)
    sweep = harness.orchestrators[0].sweep
    for _ in range(3):
        sweep.run()
    assert sweep.repaired == 1
    assert harness.statuses(execution)["pay"] == "completed"


def test_an_execution_is_deleted_with_its_signals(harness: Harness) -> None:
    """Those that nobody has taken go as well."""
    execution = harness.begin(plan_of({"first": (), "pay": ("first",)}, waits=PAID))
    harness.signal(execution, "paid")
    harness.delete(execution, force=True)
    harness.drain()
    assert not list(harness.client.scan_iter(f"fe:x:{execution}:*"))
    check_everything(harness.client)


def test_who_has_sent_a_signal_is_among_the_events(harness: Harness) -> None:
    """By its name; the node's end follows."""
    execution = begin(harness, PAID)
    harness.signal(execution, "paid")
    settle(harness)
    events = check(harness.client, execution).events
    (received,) = [event for event in events if event.kind == "signal_received"]
    assert received.detail == "paid"
