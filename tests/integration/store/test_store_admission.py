"""Who is let in: the limits on what waits and on memory, and what is answered first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import msgspec
import pytest

from flowengine.broker.streams.wire import post
from flowengine.engine.executions import StoredExecutions
from flowengine.errors import ExecutionNotFoundError, StoreFullError, TooManyExecutionsError
from flowengine.execution.views import HealthView
from flowengine.settings import Settings
from flowengine.store.admission import Admission
from flowengine.store.api_state import RedisApiState
from flowengine.store.connection.sessions import connect
from flowengine.store.state import RedisState
from tests.support.harness import plan_of
from tests.support.valkey import Valkey

ONE = plan_of({"only": ()})
NOBODY = "0" * 27

Make = Callable[[Settings], StoredExecutions]


@pytest.fixture
def make() -> Iterator[Make]:
    """Executions as an API process with these settings has them; memory is asked for each time."""
    with ExitStack() as opened:

        def made(settings: Settings) -> StoredExecutions:
            client = connect(settings.redis_url)
            opened.callback(client.close)
            state = RedisState(client, post, settings)
            opened.callback(lambda: state.sessions.here().discard())
            api_state = RedisApiState(state, Admission(state, memory_every_s=0.0))
            return StoredExecutions(api_state, lambda: HealthView(status="ok", checks={}))

        yield made


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
