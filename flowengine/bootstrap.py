"""The one composition root: settings -> Redis -> state -> broker -> engine.

Nothing else builds these parts. Every function makes new ones; none is kept here. What only some processes
have is imported where it is built: each keeps in memory what it imports.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from flowengine.broker.streams.wire import payload_of, post
from flowengine.broker.timing import TIMING, Timing
from flowengine.errors import SettingsError, StoreUnavailableError, UnfitServerError
from flowengine.observability import set_redactor
from flowengine.queues import ORCHESTRATOR_QUEUE
from flowengine.settings import Settings, environment, load_settings
from flowengine.store.connection.sessions import connect
from flowengine.store.state import RedisState

if TYPE_CHECKING:
    import dramatiq
    import redis

    from flowengine.broker.broker import StreamsBroker
    from flowengine.broker.policy import KnownHandlers, Policies
    from flowengine.engine.executions import StoredExecutions
    from flowengine.engine.held import Sink
    from flowengine.execution.messages import Payload
    from flowengine.handlers.secrets.redaction import Secrets
    from flowengine.plugin import Registry
    from flowengine.store.access.redis_access import RedisAccess
    from flowengine.store.committing.encode_changes import Post
    from flowengine.store.maintenance.own_queues import RedisOwnQueues
    from flowengine.store.maintenance.sweep_reads import RedisSweepState

DOTENV = Path(".env")
IDLE_WAKE_MS = 2_000


def read_environment() -> Mapping[str, str]:
    """The process's environment over the `.env` file of the current directory."""
    return environment(os.environ, DOTENV)


def read_settings() -> Settings:
    """The settings of this process. Raises SettingsError naming what is wrong."""
    return load_settings(os.environ, DOTENV)


def hide_secrets(settings: Settings, environ: Mapping[str, str]) -> Secrets:
    """The secrets of this process, which no line of its log shows from now on."""
    from flowengine.handlers.secrets.own_credentials import own_credentials
    from flowengine.handlers.secrets.redaction import Secrets

    secrets = Secrets(environ, own=own_credentials(settings))
    set_redactor(secrets.redact)
    return secrets


def open_redis(settings: Settings) -> redis.Redis:
    """A client for REDIS_URL; opens no connection yet. Raises SettingsError for a bad URL."""
    try:
        return connect(settings.redis_url)
    except ValueError as error:
        raise SettingsError(f"REDIS_URL: {error}") from error


def posting_to(owner: str) -> Post:
    """What sends messages to the queues that an execution has of its own, or to the common ones."""
    if not owner:
        return post

    def post_to_own(sink: Sink, queue: str, message: Payload, partition: str) -> None:
        post(sink, queue, message, partition, owner)

    return post_to_own


def build_state(settings: Settings, *, owner: str = "") -> RedisState:
    """State in Redis, with connections of its own. `owner`: the execution whose own queues it uses."""
    return RedisState(open_redis(settings), posting_to(owner), settings, owner=owner)


def build_sweep_state(settings: Settings, *, owner: str = "") -> RedisSweepState:
    """The same, with what an orchestrator's sweep reads."""
    from flowengine.store.maintenance.sweep_reads import RedisSweepState

    return RedisSweepState(open_redis(settings), posting_to(owner), settings, owner=owner)


def queues_of(registry: Registry) -> tuple[str, ...]:
    """The queues of a stack with these handlers."""
    return (ORCHESTRATOR_QUEUE, *sorted({item.queue for item in registry}))


def build_own_queues(settings: Settings, *, owner: str = "") -> RedisOwnQueues:
    """What sees to the queues that executions have of their own, with connections of its own."""
    from flowengine.store.maintenance.own_queues import RedisOwnQueues

    return RedisOwnQueues(build_state(settings, owner=owner))


def build_executions(settings: Settings, registry: Registry, *, owner: str = "") -> StoredExecutions:
    """Executions as the API and the tool see them. With an `owner`, only that one, on queues of its own.

    Raises SettingsError if Redis answers and cannot be worked on, or holds state of another version. If it
    does not answer, that is checked before the first use.
    """
    from flowengine.engine.definitions.definitions import StoredDefinitions
    from flowengine.engine.executions import StoredExecutions
    from flowengine.engine.operations import StoredOperations
    from flowengine.engine.schedules.schedules import StoredSchedules
    from flowengine.store.api_state import RedisApiState
    from flowengine.store.bulks import RedisBulks
    from flowengine.store.definitions.redis_definitions import RedisDefinitions
    from flowengine.store.health import Health
    from flowengine.store.limits.limits_list import LimitsList
    from flowengine.store.operations.dead_letters import DeadLetters
    from flowengine.store.operations.gauges import RedisGauges
    from flowengine.store.operations.process_list import Processes
    from flowengine.store.operations.queue_list import Queues
    from flowengine.store.operations.stats import Stats
    from flowengine.store.schedules.redis_schedules import RedisSchedules
    from flowengine.store.server_checks.start_check import StartCheck

    state = build_state(settings, owner=owner)
    queues = queues_of(registry)
    api_state = RedisApiState(state, check=StartCheck(state, "api"))
    with contextlib.suppress(StoreUnavailableError):
        try:
            api_state.ensure_fit()
        except UnfitServerError as error:
            raise SettingsError(f"REDIS_URL: {error}") from error
    letters, load = DeadLetters(state, queues, payload_of), Queues(state, queues)
    operations = StoredOperations(
        api_state,
        letters,
        load,
        Processes(state, queues),
        RedisGauges(state, load),
        Stats(state),
        LimitsList(state),
    )
    bulks = RedisBulks(state, api_state.ensure_fit)
    applied = RedisDefinitions(state, ensure_fit=api_state.ensure_fit)
    return StoredExecutions(
        api_state,
        Health(state, queues),
        operations,
        bulks,
        settings.limits,
        StoredDefinitions(applied, api_state, kept_versions=settings.definition_versions),
        StoredSchedules(RedisSchedules(state, api_state.ensure_fit), applied, api_state),
    )


def build_access(settings: Settings) -> RedisAccess:
    """Who may use the API, with connections of its own."""
    from flowengine.store.access.redis_access import RedisAccess

    return RedisAccess(build_state(settings))


def build_broker(
    settings: Settings,
    policies: Policies,
    timing: Timing = TIMING,
    *,
    owner: str = "",
    known: KnownHandlers | None = None,
    service: str = "",
    concurrency: int = 0,
) -> StreamsBroker:
    """The broker of a service, with connections of its own; no actor is declared yet."""
    from flowengine.broker.broker import StreamsBroker

    return StreamsBroker(
        lambda: open_redis(settings),
        lease_s=settings.lease_s,
        max_deliveries=settings.max_deliveries,
        policies=policies,
        timing=timing,
        owner=owner,
        known=known,
        service=service,
        concurrency=concurrency,
        grace_s=settings.grace_s,
    )


def serve_metrics(settings: Settings, service: str, broker: StreamsBroker) -> None:
    """Serve this process's metrics while it lives, if it is told a port for them. Never raises."""
    if not settings.metrics_port:
        return
    from flowengine.observability.metrics import gauges
    from flowengine.observability.metrics.exposition import Exposition
    from flowengine.observability.metrics.server import serve

    held = broker.held_messages

    def read() -> tuple[gauges.Reading, ...]:
        return (
            gauges.Reading(gauges.THREADS, {(): held.threads}),
            gauges.Reading(gauges.BUSY, {(): held.busy}),
            gauges.Reading(gauges.CONCURRENCY, {(): held.concurrency}),
            gauges.Reading(gauges.ASYNC_RUNNING, {(): held.busy_async}),
        )

    serve(Exposition(service, read).text, settings.metrics_host, settings.metrics_port)


def start_tracing(settings: Settings, service: str, state: RedisState | None = None) -> None:
    """Tell spans from now on, if that is set: those of executions that end here too if there is `state`.

    What has been told is sent when the process ends. Raises SettingsError if OpenTelemetry is not installed.
    """
    if settings.traces == "off":
        return
    import atexit

    try:
        # An extra; nothing of it is imported while traces are off.
        from flowengine.observability.tracing.exporting import OtlpSink
    except ImportError as error:
        raise SettingsError(
            f"FLOWENGINE_TRACES: {error}; install the extra: pip install 'flowengine[otel]'"
        ) from error
    from flowengine.observability.tracing.spans import tracing
    from flowengine.store.execution_spans import ExecutionSpans

    tracing.start(OtlpSink(service), None if state is None else ExecutionSpans(state).span_of)
    atexit.register(tracing.stop)


def start_worker(
    broker: StreamsBroker, *, threads: int, queues: tuple[str, ...] | None = None
) -> dramatiq.Worker:
    """Dramatiq's worker over a service's broker, started. `queues`: of those declared, only these.

    Raises SettingsError if the system starts no more threads.
    """
    import dramatiq

    worker = dramatiq.Worker(
        broker,
        queues=set(queues) if queues else None,
        worker_threads=threads,
        worker_timeout=IDLE_WAKE_MS,
    )
    try:
        worker.start()
    except RuntimeError as error:
        raise SettingsError(
            f"--threads: this process cannot start {threads} threads ({error}): lower it and run more "
            "--processes, or raise the limit (ulimit -u, TasksMax= in systemd, `pids_limit` of a container)"
        ) from error
    return worker
