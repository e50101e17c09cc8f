"""Requests with an idempotency key: done once, whatever comes at once and wherever it is cut."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from flowengine.broker.streams.wire import post
from flowengine.engine.executions import StoredExecutions
from flowengine.errors import StoreUnavailableError, TooManyExecutionsError, WrongStateError
from flowengine.execution.requests.idempotency import (
    AlreadyAnsweredError,
    IdempotencyConflictError,
    IdempotentRequest,
    idempotent_request,
)
from flowengine.execution.views.executions import HealthView
from flowengine.settings import Settings
from flowengine.store import keys
from flowengine.store.api_state import RedisApiState
from flowengine.store.connection.sessions import connect
from flowengine.store.state import RedisState
from flowengine.workflow.problems import Problem
from tests.support.checks.invariants import CheckEverything
from tests.support.faults import WAYS, Gate, ProcessDied, Way
from tests.support.rigs.harness import Harness, diamond, failing_in, plan_of

PLAN = plan_of(diamond())
WARNINGS = (Problem(code="odd", pointer="/nodes/0", message="this is odd", line=3, column=1),)


def asked(key: str = "order-1", sent: bytes = b"{}") -> IdempotentRequest:
    """A request of one caller on one route."""
    return idempotent_request(("create", "ci"), key, (sent,))


def answer(work: Callable[[], msgspec.Struct]) -> bytes:
    """What a caller gets, the first time or again."""
    try:
        return msgspec.json.encode(work())
    except AlreadyAnsweredError as error:
        return msgspec.json.encode(error.view)


@pytest.mark.proves("request-repeated")
@pytest.mark.parametrize("starts", [False, True])
def test_a_creation_is_repeated_as_it_was_answered(
    harness: Harness, check_invariants: CheckEverything, starts: bool
) -> None:
    """While it waits, when it has run, and with the warnings of its document."""
    executions = harness.api.executions
    make = executions.start if starts else executions.create

    def ask() -> bytes:
        return answer(lambda: make(PLAN, correlation_id="c", warnings=WARNINGS, request=asked()))

    first = ask()
    assert ask() == first
    (execution,) = [stored.id for stored in check_invariants()]
    if not starts:
        harness.trigger(execution)
    check_invariants()
    harness.drain()
    assert ask() == first
    with pytest.raises(AlreadyAnsweredError):
        executions.answered_before(asked())
    with pytest.raises(IdempotencyConflictError):
        executions.create(PLAN, correlation_id="c", request=asked(sent=b"other"))
    assert [stored.status for stored in check_invariants()] == ["completed"]


@pytest.mark.proves("request-repeated")
def test_what_is_kept_of_a_request_is_deleted_with_what_it_created(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """The same request creates another execution then: there is nothing to answer it with."""
    executions = harness.api.executions
    first = executions.create(PLAN, correlation_id="c", request=asked()).execution_id
    assert harness.delete(first)
    assert not harness.client.exists(keys.of().once(asked().key)), "it would be another one's when it goes"
    second = executions.create(PLAN, correlation_id="c", request=asked()).execution_id
    assert second != first
    harness.drain()
    assert [stored.id for stored in check_invariants()] == [second]


@pytest.mark.proves("request-repeated")
def test_a_trigger_is_repeated_as_it_was_answered(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """Also when the run is over; another key begins another run, and each is told its own."""
    harness.script = failing_in(1, "b")
    execution = harness.create(PLAN)

    def ask(key: str, sent: bytes = b"") -> int:
        try:
            return harness.api.executions.trigger(execution, correlation_id="c", request=asked(key, sent)).run
        except AlreadyAnsweredError as error:
            return int(msgspec.json.decode(msgspec.json.encode(error.view))["run"])

    assert [ask("one"), ask("one")] == [1, 1]
    with pytest.raises(WrongStateError):
        ask("two")
    harness.drain()
    assert [ask("one"), ask("two"), ask("one"), ask("two")] == [1, 2, 1, 2]
    with pytest.raises(IdempotencyConflictError):
        ask("one", b"{}")
    harness.drain()
    assert [stored.status for stored in check_invariants()] == ["completed"]


@pytest.mark.proves("requests-at-once")
@pytest.mark.parametrize("starts", [False, True])
def test_of_two_requests_at_once_one_creates_and_both_are_answered_alike(
    harness: Harness, check_invariants: CheckEverything, starts: bool
) -> None:
    """Two real threads, each with its own connection, fifty times."""
    client = connect(harness.settings.redis_url)
    state = RedisState(client, post, Settings(redis_url=harness.settings.redis_url))
    executions = StoredExecutions(RedisApiState(state), lambda: HealthView(status="ok", checks={}))
    make = executions.start if starts else executions.create
    together = threading.Barrier(2)

    def ask(key: str) -> bytes:
        together.wait()
        return answer(lambda: make(PLAN, correlation_id="c", request=asked(key)))

    with ThreadPoolExecutor(2) as pool:
        for turn in range(50):
            first, second = pool.map(ask, [f"order-{turn}"] * 2)
            assert first == second
    client.close()
    assert len(check_invariants()) == 50


@pytest.mark.proves("requests-at-once")
def test_who_is_overtaken_between_read_and_write_finds_the_answer(harness: Harness) -> None:
    """The transaction is refused, and what the other one has kept is read."""
    executions = harness.api.executions
    rival = StoredExecutions(
        RedisApiState(harness.orchestrators[0].state), lambda: HealthView(status="ok", checks={})
    )
    made: list[str] = []
    harness.api.state.between = lambda: made.append(
        rival.create(PLAN, correlation_id="c", request=asked()).execution_id
    )
    with pytest.raises(AlreadyAnsweredError) as found:
        executions.create(PLAN, correlation_id="c", request=asked())
    assert [found.value.view.execution_id] == made


@pytest.mark.proves("request-cut")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("starts", [False, True])
def test_a_creation_cut_anywhere_is_done_once_when_it_is_repeated(
    harness: Harness, check_invariants: CheckEverything, way: Way, starts: bool
) -> None:
    """Whether it was heard or not: the execution is whole, and with its start if it has one."""
    process = harness.api
    for at in range(1, 60):
        request = asked(f"order-{at}")

        def ask(request: IdempotentRequest = request) -> bytes:
            make = process.executions.start if starts else process.executions.create
            return answer(lambda: make(PLAN, correlation_id="c", labels={"a": "b"}, request=request))

        gate = process.line.gate = Gate(at=at, way=way)
        try:
            first: bytes | None = ask()
        except (StoreUnavailableError, ProcessDied):
            first = None
        if process.line.dead:
            process.reborn()
        process.line.gate = Gate()
        again = ask()
        assert first in (None, again)
        assert len(harness.client.keys("fe:x:*:control")) == at, "it was done twice, or not at all"
        if gate.struck is None:
            break
    assert gate.struck is None, "not every command was tried"
    harness.drain()
    assert {each.status for each in check_invariants()} == {"completed" if starts else "pending"}


@pytest.mark.proves("request-cut")
@pytest.mark.parametrize("way", WAYS)
def test_a_trigger_cut_anywhere_begins_one_run_when_it_is_repeated(
    harness: Harness, check_invariants: CheckEverything, way: Way
) -> None:
    """Where it fails at once, a trigger without a key would have begun a second run."""
    process = harness.api
    for at in range(1, 60):
        harness.script = failing_in(1, "a")
        execution = harness.create(PLAN)

        def ask(execution: str = execution) -> bytes:
            return answer(lambda: process.executions.trigger(execution, correlation_id="c", request=asked()))

        gate = process.line.gate = Gate(at=at, way=way)
        with contextlib.suppress(StoreUnavailableError, ProcessDied):
            ask()
        if process.line.dead:
            process.reborn()
        process.line.gate = Gate()
        harness.drain()
        ask()
        harness.drain()
        view = process.executions.status(execution)
        assert (view.status, view.run) == ("failed", 1)
        if gate.struck is None:
            break
    assert gate.struck is None, "not every command was tried"
    check_invariants()


@pytest.mark.proves("request-repeated")
def test_a_key_is_known_as_long_as_its_execution(harness: Harness) -> None:
    """It expires with it; once that is gone, the request is a new one."""
    executions, client, names = harness.api.executions, harness.client, keys.of()
    first = executions.start(PLAN, correlation_id="c", request=asked()).execution_id
    once = names.once(asked().key)
    assert names.with_control(first) == [names.control(first), once]
    assert client.ttl(once) == -1
    harness.drain()
    assert client.expiretime(once) == client.expiretime(names.control(first)) > 0
    client.delete(names.control(first))
    assert executions.start(PLAN, correlation_id="c", request=asked()).execution_id != first
    harness.drain()
    client.delete(*(name for kind in ("x", "list", "index") for name in client.keys(f"fe:{kind}:*")), once)


@pytest.mark.proves("request-repeated")
def test_what_was_refused_is_not_kept(harness: Harness, check_invariants: CheckEverything) -> None:
    """It is done when it may be."""
    limited = msgspec.structs.replace(harness.settings, max_unfinished_executions=1)
    state = RedisState(harness.client, post, limited)
    executions = StoredExecutions(RedisApiState(state), lambda: HealthView(status="ok", checks={}))
    waits = executions.create(PLAN, correlation_id="c").execution_id
    with pytest.raises(TooManyExecutionsError):
        executions.create(PLAN, correlation_id="c", request=asked())
    executions.cancel(waits)
    assert executions.create(PLAN, correlation_id="c", request=asked()).execution_id
    assert len(check_invariants()) == 2


def test_an_execution_without_a_key_names_none(harness: Harness) -> None:
    """So its begin and its end cost no command more."""
    ids = [harness.create(PLAN) for _ in range(30)]
    assert all(len(keys.of().with_control(execution)) == 1 for execution in ids)
