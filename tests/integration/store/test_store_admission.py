"""Who is let in: the limits on what waits and on memory, and what is answered first."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Protocol

import msgspec
import pytest

from flowengine.broker.streams.wire import post
from flowengine.engine.executions import StoredExecutions
from flowengine.errors import ExecutionNotFoundError, StoreFullError, TooManyExecutionsError
from flowengine.execution.views.executions import HealthView
from flowengine.settings import Settings
from flowengine.store.admission import FAR, UNCOUNTED, Admission, memory_of
from flowengine.store.api_state import RedisApiState
from flowengine.store.connection.sessions import connect
from flowengine.store.health import Health
from flowengine.store.state import RedisState
from flowengine.workflow.plan import Plan
from tests.support.rigs.harness import plan_of
from tests.support.servers.valkey import Valkey

ONE = plan_of({"only": ()})
LARGE = plan_of({"only": ()}, padding=1_000_000)
NOBODY = "0" * 27


class Make(Protocol):
    """Executions as an API process with these settings has them."""

    def __call__(self, settings: Settings, *, memory_every_s: float = 0.0) -> StoredExecutions: ...


@pytest.fixture
def connected() -> Iterator[Callable[[Settings], RedisState]]:
    """What an API process with these settings reads and writes by."""
    with ExitStack() as opened:

        def made(settings: Settings) -> RedisState:
            client = connect(settings.redis_url)
            opened.callback(client.close)
            state = RedisState(client, post, settings)
            opened.callback(lambda: state.sessions.here().discard())
            return state

        yield made


@pytest.fixture
def make(connected: Callable[[Settings], RedisState]) -> Make:
    """Executions as an API process with these settings has them; memory is asked for each time."""

    def made(settings: Settings, *, memory_every_s: float = 0.0) -> StoredExecutions:
        state = connected(settings)
        api_state = RedisApiState(state, Admission(state, memory_every_s=memory_every_s))
        return StoredExecutions(api_state, lambda: HealthView(status="ok", checks={}))

    return made


def test_a_trigger_is_told_first_that_its_execution_does_not_exist(valkey: Valkey, make: Make) -> None:
    """Trying again later, as the limit advises, would not help."""
    executions = make(Settings(redis_url=valkey.url, max_unfinished_executions=1))
    first = executions.create(ONE, correlation_id="x").execution_id
    executions.trigger(first, correlation_id="x")
    with pytest.raises(TooManyExecutionsError):
        executions.create(ONE, correlation_id="x")
    with pytest.raises(ExecutionNotFoundError):
        executions.trigger(NOBODY, correlation_id="x")


def test_a_refused_trigger_changes_nothing(valkey: Valkey, make: Make) -> None:
    """And it holds no watch that the next transaction would stumble over."""
    open_door = Settings(redis_url=valkey.url, max_unfinished_executions=2)
    generous, strict = (
        make(open_door),
        make(msgspec.structs.replace(open_door, max_unfinished_executions=1)),
    )
    running, waiting = (generous.create(ONE, correlation_id="x").execution_id for _ in range(2))
    strict.trigger(running, correlation_id="x")
    with pytest.raises(TooManyExecutionsError):
        strict.trigger(waiting, correlation_id="x")
    assert strict.status(waiting).status == "pending"
    assert generous.trigger(waiting, correlation_id="x").run == 1


def test_executions_are_counted_before_each_one_where_their_limit_is_near(
    valkey: Valkey, connected: Callable[[Settings], RedisState], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What other processes have let in counts at once then, however short ago the last count was."""
    monkeypatch.setattr("flowengine.store.admission.COUNTED_FOR_S", 3600.0)
    state = connected(Settings(redis_url=valkey.url, max_unfinished_executions=FAR + 10))
    here = Admission(state)
    with valkey.connect() as client:
        let_in(here)
        client.zadd("fe:index:running", {f"r{at}": 0 for at in range(10)})
        for _ in range(UNCOUNTED):
            let_in(here)
        client.zadd("fe:index:pending", {f"p{at}": 0 for at in range(FAR - 1)})
        let_in(here)
        client.zadd("fe:index:pending", {"last": 0})
        with pytest.raises(TooManyExecutionsError, match=rf"{FAR + 10} executions"):
            let_in(here)
        client.zrem("fe:index:pending", "last")
        let_in(here)


@pytest.mark.parametrize("far", [False, True])
def test_executions_are_counted_again_after_a_while(
    valkey: Valkey,
    connected: Callable[[Settings], RedisState],
    monkeypatch: pytest.MonkeyPatch,
    far: bool,
) -> None:
    """A process that lets few in notices soon what others have let in; so does a trigger of what runs."""
    monkeypatch.setattr("flowengine.store.admission.COUNTED_FOR_S", 3600.0 if far else 0.0)
    state = connected(Settings(redis_url=valkey.url, max_unfinished_executions=2 * FAR))
    here = Admission(state)
    for starting in (False, True):
        asked = here.ask(starting=starting)
        here.decide(asked, state.sessions.retrying_read(asked.commands))
    with valkey.connect() as client:
        client.zadd("fe:index:running", {f"r{at}": 0 for at in range(2 * FAR)})
    for starting in (False, True):
        asked = here.ask(starting=starting)
        assert bool(asked.counted) != far
        if not far:
            with pytest.raises(TooManyExecutionsError):
                here.decide(asked, state.sessions.retrying_read(asked.commands))


def let_in(here: Admission) -> None:
    """One new execution, of which nothing is stored."""
    with here.letting_in(0):
        pass


def test_a_full_store_lets_nothing_new_in(private_valkey: Callable[[], Valkey], make: Make) -> None:
    """Neither an execution nor a trigger, from the next look at the memory on."""
    server = private_valkey()
    executions = make(Settings(redis_url=server.url))
    waiting = executions.create(ONE, correlation_id="x").execution_id
    with server.connect() as client:
        client.config_set("maxmemory", int(client.info("memory")["used_memory"] * 1.05))
        with pytest.raises(StoreFullError):
            executions.create(ONE, correlation_id="x")
        with pytest.raises(StoreFullError):
            executions.trigger(waiting, correlation_id="x")
        client.config_set("maxmemory", 0)
    assert executions.trigger(waiting, correlation_id="x").run == 1


def test_a_server_that_forbids_info_is_not_asked(private_valkey: Callable[[], Valkey], make: Make) -> None:
    """As hosted ones may; it refuses by itself when it is full."""
    server = private_valkey()
    with server.connect() as client:
        client.execute_command("ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all", "-info")
    executions = make(Settings(redis_url=server.url.replace("//", "//app:pw@")))
    for _ in range(2):
        execution = executions.create(ONE, correlation_id="x").execution_id
        assert executions.trigger(execution, correlation_id="x").run == 1


@pytest.fixture
def three_large_ones(private_valkey: Callable[[], Valkey]) -> Iterator[tuple[Valkey, int]]:
    """A server, and how many bytes it may use for three of the large executions to fit in."""
    server = private_valkey()
    with server.connect() as client:
        yield server, int(client.info("memory")["used_memory"]) + 3_700_000


@pytest.mark.proves("stored-bytes")
@pytest.mark.parametrize("by", ["maxmemory", "setting", "both"])
def test_what_is_kept_has_a_limit_in_bytes(three_large_ones: tuple[Valkey, int], make: Make, by: str) -> None:
    """Two or three of eight: a connection may still hold the bytes of the last one."""
    server, limit = three_large_ones
    settings = Settings(redis_url=server.url, max_stored_bytes=0 if by == "maxmemory" else limit)
    if by != "setting":
        with server.connect() as client:
            client.config_set("maxmemory", int(limit / settings.memory_limit_ratio) + 1)
    executions = make(settings, memory_every_s=3600.0)
    assert sum(_created(executions, LARGE) for _ in range(8)) in (2, 3)
    assert _created(executions, ONE), "what is small still fits in"
    with pytest.raises(StoreFullError, match=rf"this needs 1000\d{{3}} more, the limit is {limit} \("):
        executions.create(LARGE, correlation_id="x")
    with server.connect() as client:
        assert int(client.info("memory")["used_memory"]) < limit


def test_small_executions_count_between_two_looks_at_the_memory(
    three_large_ones: tuple[Valkey, int], make: Make
) -> None:
    """A burst that ends before the next look does not go over the limit: 3.7 MB hold 74 of 50 KB."""
    server, limit = three_large_ones
    executions = make(Settings(redis_url=server.url, max_stored_bytes=limit), memory_every_s=3600.0)
    small = plan_of({"only": ()}, padding=50_000)
    assert 65 <= sum(_created(executions, small) for _ in range(100)) <= 74


def test_large_executions_that_come_at_once_share_the_limit(
    three_large_ones: tuple[Valkey, int], make: Make
) -> None:
    """Each counts from the moment it is let in, not from when Redis has it."""
    server, limit = three_large_ones
    executions = make(Settings(redis_url=server.url, max_stored_bytes=limit))
    with ThreadPoolExecutor(8) as pool:
        created = list(pool.map(lambda _: _created(executions, LARGE), range(16)))
    assert 1 <= sum(created) <= 3
    with server.connect() as client:  # of the keys alone: connections may still hold what was refused
        assert sum(client.memory_usage(key, samples=0) or 0 for key in client.keys("*")) < 3_700_000


def test_a_look_asked_for_earlier_does_not_count_what_was_stored_since(
    three_large_ones: tuple[Valkey, int], connected: Callable[[Settings], RedisState]
) -> None:
    """Its figure is of before, whenever its answer comes."""
    server, limit = three_large_ones
    state = connected(Settings(redis_url=server.url, max_stored_bytes=limit))
    admission = Admission(state, memory_every_s=0.0)
    asked = admission.ask(1_000_000)
    replies = state.sessions.retrying_read(asked.commands)
    for _ in range(3):
        with admission.letting_in(1_000_000):
            pass
    with pytest.raises(StoreFullError):
        admission.decide(asked, replies, size=1_000_000)


def test_large_executions_of_several_processes_share_the_limit(
    three_large_ones: tuple[Valkey, int], make: Make
) -> None:
    """A look at the memory before each: another process may have let some in."""
    server, limit = three_large_ones
    settings = Settings(redis_url=server.url, max_stored_bytes=limit)
    processes = [make(settings, memory_every_s=3600.0) for _ in range(2)]
    assert sum(_created(processes[turn % 2], LARGE) for turn in range(8)) in (2, 3)


@pytest.mark.parametrize(
    ("figures", "settings", "limit"),
    [
        ({"maxmemory": "1000", "total_system_memory": "100"}, Settings(), 850),
        ({"maxmemory": "1000"}, Settings(max_stored_bytes=2000), 850),
        ({"maxmemory": "1000"}, Settings(max_stored_bytes=200), 200),
        ({"maxmemory": "0", "total_system_memory": "1000"}, Settings(), 500),
        ({"maxmemory": "0", "total_system_memory": "1000"}, Settings(max_stored_bytes=900), 900),
        ({"maxmemory": "1000"}, Settings(memory_limit_ratio=1.0), 1000),
        ({}, Settings(), 0),
    ],
)
def test_limit_comes_from_the_setting_the_server_or_its_machine(
    figures: dict[str, str], settings: Settings, limit: int
) -> None:
    """There is one in any case but where a hosted server tells nothing; the lowest holds."""
    memory = memory_of({"used_memory": str(limit), **figures}, settings)
    assert memory.limit == limit
    assert memory.has_room()
    assert memory.has_room(1) == (limit == 0)


def test_health_names_the_limit_once_it_is_reached(valkey: Valkey, make: Make) -> None:
    """Not "ok" while new work is refused."""
    settings = Settings(redis_url=valkey.url, max_stored_bytes=1)
    with pytest.raises(StoreFullError, match="FLOWENGINE_MAX_STORED_BYTES"):
        make(settings).create(ONE, correlation_id="x")
    client = connect(valkey.url)
    try:
        state = RedisState(client, post, settings)
        found = Health(state, ())().checks["memory"]
        state.sessions.here().discard()
    finally:
        client.close()
    assert re.fullmatch(r"\d+ bytes used, the limit is 1 \(FLOWENGINE_MAX_STORED_BYTES\): .* refused", found)


def _created(executions: StoredExecutions, plan: Plan) -> bool:
    try:
        executions.create(plan, correlation_id="x")
    except StoreFullError:
        return False
    return True
