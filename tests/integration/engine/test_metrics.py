"""What the engine counts while it works: each end once, whatever comes twice."""

from __future__ import annotations

import cProfile
import pstats

import pytest

from flowengine.broker.streams.wire import post
from flowengine.observability.metrics import counted, numbers
from flowengine.observability.metrics.numbers import Counter
from flowengine.plugin import Context, HandlerError
from flowengine.queues import WORKER_QUEUE
from flowengine.settings import Settings
from flowengine.store.connection.sessions import connect
from flowengine.store.operations.gauges import RedisGauges
from flowengine.store.operations.queue_list import Queues
from flowengine.store.state import RedisState
from tests.support.checks.reference_model import Says
from tests.support.rigs.harness import Harness, diamond, failing_in, plan_of
from tests.support.servers.valkey import free_port

NODES_RUN = 30
MOST_CALLS = 25


class Since:
    """How much counters have grown since this was made: the numbers are the process's."""

    def __init__(self) -> None:
        self._before = {counter.name: dict(counter.samples()) for counter in counted.COUNTERS}

    def __call__(self, counter: Counter) -> dict[tuple[str, ...], int]:
        """By labels, without those that have not grown."""
        before = self._before[counter.name]
        grown = {values: number - before.get(values, 0) for values, number in counter.samples()}
        return {values: number for values, number in grown.items() if number}


@pytest.fixture
def since(monkeypatch: pytest.MonkeyPatch) -> Since:
    """Tests that ran before in this process have names of their own, which fill none of the labels here."""
    monkeypatch.setattr(numbers, "MOST_VALUES", 1_000_000)
    return Since()


def test_each_end_of_a_node_and_of_an_execution_counts_once(harness: Harness, since: Since) -> None:
    """A failure takes what is below it along; that has ended too."""
    harness.script = failing_in(1, "b")
    harness.begin(plan_of(diamond(), name="daily"))
    harness.drain()
    assert since(counted.NODES) == {("sum", "completed"): 2, ("sum", "failed"): 2}
    assert since(counted.EXECUTIONS) == {("daily", "failed"): 1}
    assert since(counted.ATTEMPTS) == {("sum", "completed"): 2, ("sum", "failed"): 1}


def test_a_callback_that_comes_twice_counts_once(harness: Harness, since: Since) -> None:
    """The second one is stale, and told as such only where its outcome is lost."""
    harness.begin(plan_of({"a": (), "b": ("a",)}))
    harness.start_executions()
    harness.run_tasks("a")
    (callback,) = harness.callbacks()
    harness.deliver(harness.orchestrators[0], callback, callback)
    assert since(counted.NODES) == {("sum", "completed"): 1}


def test_a_transaction_that_is_refused_counts_nothing(harness: Harness, since: Since) -> None:
    """It is decided anew, and counts then."""
    execution = harness.begin(plan_of({"a": ()}))
    harness.start_executions()
    harness.run_tasks()
    control = harness.keys.control(execution)
    # Written anew as it is: what has been WATCHed has changed.
    harness.orchestrators[0].state.between = lambda: harness.client.hset(control, "run", 1)
    harness.drain()
    assert not harness.orchestrators[0].state.hooked
    assert since(counted.NODES) == {("sum", "completed"): 1}


def test_tries_and_retries_are_told_apart(harness: Harness, since: Since) -> None:
    """Two attempts, one pause between them, one end."""

    def once(context: Context) -> None:
        if context.attempt == 1:
            raise HandlerError("boom", "not yet")

    harness.script = once
    harness.begin(plan_of({"a": ()}, says={"a": Says(tries=2)}))
    harness.drain()
    assert since(counted.ATTEMPTS) == {("sum", "failed"): 1, ("sum", "completed"): 1}
    assert since(counted.RETRIES) == {("sum",): 1}
    assert since(counted.NODES) == {("sum", "completed"): 1}


def test_round_trips_are_counted_as_they_are_made(harness: Harness, since: Since) -> None:
    """Each sending to Redis, by the store as by any other client of this process."""
    sessions = harness.api.state.sessions
    sessions.retrying_read([("TIME",)])  # a new connection says more
    before = counted.ROUND_TRIPS.value()
    sessions.retrying_read([("TIME",), ("PING",)])
    assert counted.ROUND_TRIPS.value() == before + 1


def test_gauges_tell_what_redis_holds(harness: Harness) -> None:
    """Executions by status, and each queue; nothing but that Redis is away where it is."""
    harness.begin(plan_of({"a": ()}))
    harness.start_executions()
    process = harness.orchestrators[0]
    queues = Queues(process.state, (WORKER_QUEUE,))
    read = {reading.gauge.name: reading.values for reading in RedisGauges(process.state, queues)()}
    assert read["flowengine_executions"]["running",] == 1
    assert read["flowengine_executions"]["completed",] == 0
    assert read["flowengine_queue_length"][WORKER_QUEUE,] == 1
    assert read["flowengine_redis_up"][()] == 1


def test_gauges_tell_that_redis_is_away() -> None:
    """And nothing else: a number of before would look like one of now."""
    client = connect(f"redis://127.0.0.1:{free_port()}/0")
    state = RedisState(client, post, Settings())
    (reading,) = RedisGauges(state, Queues(state, (WORKER_QUEUE,)))()
    assert (reading.gauge.name, reading.values) == ("flowengine_redis_up", {(): 0})
    client.close()


def test_counting_takes_few_calls_for_a_node(harness: Harness) -> None:
    """Of all that a hop calls: a counter that looks something up, or asks Redis, would show here."""
    graph = {f"n{at}": (f"n{at - 1}",) if at else () for at in range(NODES_RUN)}
    harness.begin(plan_of(graph))
    profile = cProfile.Profile()
    profile.runcall(harness.drain)
    calls = {"ours": 0, "all": 0}
    for (file, _, _), (_, number, *_) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]  # as pstats documents it
        calls["all"] += number
        if "observability/metrics" in file or "decisions_counted" in file:
            calls["ours"] += number
    assert NODES_RUN <= calls["ours"] <= MOST_CALLS * NODES_RUN
    assert calls["ours"] < calls["all"] / 50
