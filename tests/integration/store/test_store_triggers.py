"""Triggers: of any that come at once exactly one starts the execution, whatever breaks on the way."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from flowengine.broker.streams.wire import post
from flowengine.engine.executions import StoredExecutions
from flowengine.errors import ExecutionNotFoundError, StoreUnavailableError, WrongStateError
from flowengine.execution.views.executions import HealthView
from flowengine.settings import Settings
from flowengine.store import keys
from flowengine.store.api_state import RedisApiState
from flowengine.store.connection.sessions import connect
from flowengine.store.state import RedisState
from tests.support.checks.invariants import CheckEverything
from tests.support.faults import WAYS, Gate, ProcessDied, Way
from tests.support.rigs.harness import Harness, diamond, failing_in, plan_of
from tests.support.servers.valkey import Valkey


@pytest.fixture
def executions(valkey: Valkey) -> Iterator[StoredExecutions]:
    """What an API process has, over plain connections."""
    client = connect(valkey.url)
    state = RedisState(client, post, Settings(redis_url=valkey.url))
    yield StoredExecutions(RedisApiState(state), lambda: HealthView(status="ok", checks={}))
    state.sessions.here().discard()
    client.close()


@pytest.mark.proves("two-triggers")
def test_of_two_triggers_at_once_exactly_one_starts_it_a_hundred_times(
    executions: StoredExecutions, harness: Harness
) -> None:
    """Two real threads, each with its own connection; the other is refused as in the wrong state."""
    together = threading.Barrier(2)
    plan = plan_of(diamond())

    def trigger(execution: str) -> int | None:
        together.wait()
        try:
            return executions.trigger(execution, correlation_id="x").run
        except WrongStateError:
            return None

    with ThreadPoolExecutor(2) as pool:
        for _ in range(100):
            execution = executions.create(plan, correlation_id="x").execution_id
            answers = [pool.submit(trigger, execution) for _ in range(2)]
            assert sorted(answer.result() or 0 for answer in answers) == [0, 1]
    assert harness.client.xlen("fe:q:orchestrator") == 100


@pytest.mark.proves("two-triggers")
def test_of_two_retries_at_once_exactly_one_starts_it(
    executions: StoredExecutions, harness: Harness, check_invariants: CheckEverything
) -> None:
    """The same holds for a failed execution, whose nodes are all written anew."""
    harness.script = failing_in(1, "a")
    execution = harness.begin(plan_of(diamond()))
    harness.drain()
    harness.api.state.between = lambda: (executions.trigger(execution, correlation_id="x"), None)[1]
    with pytest.raises(WrongStateError):
        harness.trigger(execution)
    harness.drain()
    assert [stored.control["run"] for stored in check_invariants()] == ["2"]


def test_the_events_of_an_execution_do_not_grow_with_each_retry(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """Every tenth run they begin anew, and fold to the stored state all the same."""
    execution = harness.begin(plan_of({"sound": (), "broken": (), "below": ("sound", "broken")}))
    sizes = []
    for run in range(1, 30):
        harness.script = failing_in(run, "broken")
        if run > 1:
            assert harness.trigger(execution) == run
        harness.drain()
        assert [stored.status for stored in check_invariants()] == ["failed"]
        entries = harness.client.xrange(keys.of().events(execution))
        sizes.append(sum(b"e" in fields for _, fields in entries))
    assert sizes[9:19] == sizes[19:29]
    assert sizes[9] < sizes[8]


@pytest.mark.proves("trigger-cut")
@pytest.mark.parametrize("way", WAYS)
def test_a_retry_cut_anywhere_starts_once_or_not_at_all(
    harness: Harness, check_invariants: CheckEverything, way: Way
) -> None:
    """Cut at any command: the API answers rightly or not at all, and nothing is half done."""
    harness.script = failing_in(1, "b")
    process = harness.api
    for at in range(1, 60):
        execution = harness.begin(plan_of(diamond()))
        harness.drain()
        gate = process.line.gate = Gate(at=at, way=way)
        try:
            assert harness.trigger(execution) == 2
            answered = True
        except (StoreUnavailableError, ProcessDied):
            answered = False
        if process.line.dead:
            process.reborn()
        process.line.gate = Gate()
        lost_answer = way == "fail_after" and str(gate.struck).endswith("EXEC")
        assert answered or not lost_answer, "it could have found out that it was heard"
        status = process.executions.status(execution)
        assert status.run == 2 if answered else status.run in (1, 2)
        if status.run == 1:
            assert harness.trigger(execution) == 2
        harness.drain()
        assert harness.api.executions.status(execution).status == "completed"
        if gate.struck is None:
            break
    assert gate.struck is None, "not every command was tried"
    check_invariants()


@pytest.mark.proves("start-cut")
@pytest.mark.parametrize("way", WAYS)
def test_a_start_cut_anywhere_leaves_a_whole_execution_or_none(
    harness: Harness, check_invariants: CheckEverything, way: Way
) -> None:
    """What is stored runs to its end, though nobody knows its id."""
    plan, process, known = plan_of(diamond()), harness.api, set[str]()
    for at in range(1, 60):
        gate = process.line.gate = Gate(at=at, way=way)
        with contextlib.suppress(StoreUnavailableError, ProcessDied):
            process.executions.start(plan, correlation_id="x", labels={"team": "data"})
        if process.line.dead:
            process.reborn()
        process.line.gate = Gate()
        harness.drain()
        new = {stored.id for stored in check_invariants() if stored.status == "completed"} - known
        assert len(new) == len(harness.client.keys("fe:x:*:control")) - len(known) <= 1
        known |= new
        if gate.struck is None:
            break
    assert gate.struck is None, "not every command was tried"


def test_a_connection_lost_after_the_watch_does_not_let_two_triggers_through(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """redis-py connects again without a word, and the new connection watches nothing."""
    harness.script = failing_in(1, "b")
    execution = harness.begin(plan_of(diamond()))
    harness.drain()
    with harness.client.client() as other:
        api = harness.api

        def cut_and_overtaken() -> None:
            other.client_kill_filter(_id=api.state.sessions.here().call([("CLIENT", "ID")])[0])
            rival = StoredExecutions(RedisApiState(api.state), lambda: HealthView(status="ok", checks={}))
            answer = []
            thread = threading.Thread(
                target=lambda: answer.append(rival.trigger(execution, correlation_id="rival").run)
            )
            thread.start()
            thread.join()
            assert answer == [2]

        api.state.between = cut_and_overtaken
        with pytest.raises((StoreUnavailableError, WrongStateError)):
            harness.trigger(execution)
    assert harness.api.executions.status(execution).run == 2
    harness.drain()
    check_invariants()


@pytest.mark.parametrize("identifier", ["0" * 26, "nonsense", "../../etc", "0" * 65, ""])
def test_an_unknown_id_is_not_found(harness: Harness, identifier: str) -> None:
    """Whether it could be one or not; nothing else is said."""
    with pytest.raises(ExecutionNotFoundError):
        harness.trigger(identifier)
    with pytest.raises(ExecutionNotFoundError):
        harness.api.executions.status(identifier)
    with pytest.raises(ExecutionNotFoundError):
        harness.api.executions.results(identifier)
