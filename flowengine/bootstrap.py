"""The one composition root: settings -> Redis -> state -> broker -> engine.

Nothing else builds these parts. Every function makes new ones; none is kept here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from flowengine.broker.streams.wire import engine_fields
from flowengine.errors import SettingsError
from flowengine.execution.records import Callback, Failed, NodeError, RunNode
from flowengine.jsonvalue import UNREADABLE
from flowengine.queues import ORCHESTRATOR_QUEUE, stream_key
from flowengine.settings import Settings, environment, load_settings
from flowengine.store.connection.sessions import Commands, connect
from flowengine.store.executions import RedisExecutions
from flowengine.store.health import Health
from flowengine.store.sweep_reads import RedisSweepState

if TYPE_CHECKING:
    import redis

    from flowengine.broker.broker import StreamsBroker
    from flowengine.broker.policy import Policies
    from flowengine.plugin import Registry

DOTENV = Path(".env")


def read_environment() -> Mapping[str, str]:
    """The process's environment over the `.env` file of the current directory."""
    return environment(os.environ, DOTENV)


def read_settings() -> Settings:
    """The settings of this process. Raises SettingsError naming what is wrong."""
    return load_settings(os.environ, DOTENV)


def open_redis(settings: Settings) -> redis.Redis:
    """A client for REDIS_URL; opens no connection yet. Raises SettingsError for a bad URL."""
    try:
        return connect(settings.redis_url)
    except ValueError as error:
        raise SettingsError(f"REDIS_URL: {error}") from error


def send(sink: Commands, queue: str, actor: str, payload: bytes) -> None:
    """Queue the sending of an engine message on a transaction."""
    fields = [part for pair in engine_fields(actor, payload).items() for part in pair]
    sink.execute_command("XADD", stream_key(queue), "*", *fields)


def build_state(settings: Settings) -> RedisSweepState:
    """State in Redis, with connections of its own."""
    return RedisSweepState(open_redis(settings), send, settings)


def build_executions(settings: Settings, registry: Registry) -> RedisExecutions:
    """Executions as the API and the tool see them."""
    state = build_state(settings)
    queues = (ORCHESTRATOR_QUEUE, *sorted({item.queue for item in registry}))
    return RedisExecutions(state, Health(state, queues))


def build_broker(settings: Settings, policies: Policies) -> StreamsBroker:
    """The broker of a service, with connections of its own; no actor is declared yet."""
    from flowengine.broker.broker import StreamsBroker
    from flowengine.broker.expected_errors import ExpectedErrors

    return StreamsBroker(
        lambda: open_redis(settings),
        lease_s=settings.lease_s,
        max_deliveries=settings.max_deliveries,
        policies=policies,
        middleware=[ExpectedErrors()],
    )


def dead_task_callback(clock: Callable[[], int]) -> Callable[[bytes, int], tuple[str, str, bytes] | None]:
    """What tells the orchestrator that a node has killed its workers too often."""

    def callback(payload: bytes, starts: int) -> tuple[str, str, bytes] | None:
        try:
            task = msgspec.json.decode(payload, type=RunNode)
        except UNREADABLE as error:
            raise ValueError(str(error)) from error
        message = f"its worker died each of the {starts} times that it was started"
        report = Callback(
            execution=task.execution,
            run=task.run,
            node=task.node,
            attempt=task.attempt,
            delivery=starts,
            started_at=None,
            finished_at=clock(),
            outcome=Failed(NodeError(code="worker_lost", message=message, attempts=starts)),
            correlation_id=task.correlation_id,
        )
        return (ORCHESTRATOR_QUEUE, "node_finished", msgspec.json.encode(report))

    return callback
