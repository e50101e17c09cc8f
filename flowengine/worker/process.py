"""How a worker process is put together, started and stopped."""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from collections.abc import Callable, Mapping

import dramatiq
import msgspec
from dramatiq.middleware import Middleware

from flowengine.bootstrap import (
    build_broker,
    build_state,
    hide_secrets,
    read_environment,
    read_settings,
    serve_metrics,
    start_tracing,
    start_worker,
)
from flowengine.broker.async_holding import AsyncHolding
from flowengine.broker.broker import StreamsBroker
from flowengine.broker.policy import ActorPolicy, KnownHandlers
from flowengine.broker.timing import TIMING, Timing
from flowengine.engine.delivering.sender import Sender
from flowengine.engine.running.asynchronous.async_nodes import AsyncNodes
from flowengine.engine.running.handler_speed import HandlerSpeed
from flowengine.engine.running.node_context import Environment
from flowengine.engine.running.quick_group import QuickGroups
from flowengine.engine.running.runner import Patience, Runner
from flowengine.errors import SettingsError
from flowengine.execution.rules.deadlines import unknown_handler, worker_lost
from flowengine.handlers.handler_settings import load_handler_settings
from flowengine.handlers.http.network.forbidden_target import own_server
from flowengine.handlers.http.network.trusted_authorities import trusted_authorities
from flowengine.handlers.invoking.invoker import Invoker
from flowengine.handlers.isolated.children import Children
from flowengine.handlers.loading import load_registry
from flowengine.handlers.secrets.redaction import Secrets
from flowengine.handlers.webhooks.webhook_call import WebhookCall
from flowengine.heuristics import GROUPED_NODES
from flowengine.observability import configure_logs, redact_prints
from flowengine.plugin import Registry
from flowengine.queues import async_line
from flowengine.settings import Settings
from flowengine.store.delivering.delivery_state import RedisSending
from flowengine.store.server_checks.start_check import StartCheck
from flowengine.store.worker_state import RedisWorkerState
from flowengine.supervision.child_shutdown import ENDS_AFTER_GRACE_S
from flowengine.supervision.garbage import collect_rarely
from flowengine.worker.actors import declare
from flowengine.worker.draining import Draining
from flowengine.worker.watchdog import Watchdog

DEFAULT_THREADS = 16
PATIENCE = 0.8
"""How long a worker tries to report an outcome, in leases: after one, others may run the node."""
LOST_EXIT = 70
LEAST_CLEAN_UP_S = 0.2
"""So long handlers that are cancelled at the end may clean up in any case."""
ISOLATED_PROGRAM = "flowengine.cli.processes.isolated_process"
"""The program of child processes: by its name, because it stands above this layer as all programs do."""


class Watching(Middleware):
    """The watchdog runs while Dramatiq's Worker does."""

    def __init__(self, watchdog: Watchdog) -> None:
        self._watchdog = watchdog

    def after_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Start it."""
        self._watchdog.start()

    def after_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """What runs to its end while the process drains has deadlines as well."""
        self._watchdog.end()


class WorkerParts(msgspec.Struct, frozen=True):
    """What a worker process is made of."""

    broker: StreamsBroker
    runner: Runner
    watchdog: Watchdog
    invoker: Invoker
    queues: tuple[str, ...]
    check: StartCheck
    children: Children | None = None
    """Where isolated handlers run, if there are any."""


def build(
    settings: Settings,
    environ: Mapping[str, str],
    stop: threading.Event,
    timing: Timing = TIMING,
    *,
    announce: Callable[[float], None] | None = None,
    owner: str = "",
) -> WorkerParts:
    """The broker with the worker's actor on every queue that a handler names.

    `announce` tells a supervisor that this process drains; None: there is no supervisor. `owner`: the
    execution whose own queues it serves, and no others.
    """
    secrets = hide_secrets(settings, environ)
    secrets.warn_of_unusable()
    registry = load_registry(settings.handlers)
    state = build_state(settings, owner=owner)
    children = _children(registry, settings, secrets)
    invoker = Invoker(
        egress=settings.egress,
        settings=load_handler_settings(registry, settings, environ),
        forbidden=own_server(settings.redis_url),
        trust=trusted_authorities(settings.ca_file, environ),
        redact=secrets.redact,
        isolation=children,
    )
    worker_state = RedisWorkerState(state)
    speed = HandlerSpeed()
    runner = Runner(
        worker_state,
        registry,
        invoker,
        secrets,
        settings.limits,
        Environment(http=invoker.http, async_http=invoker.async_http, setting=environ.get),
        state.clock.now,
        speed,
        patience=Patience(PATIENCE * settings.lease_s),
        passes_on=settings.unknown_handler_s > 0,
    )
    groups = QuickGroups(worker_state, runner, speed)
    policy = ActorPolicy(
        join=GROUPED_NODES,
        may_join=groups.is_quick,
        is_quick=groups.is_quick,
        on_dead=lambda task, starts: worker_lost(task, starts, state.now()),
    )
    known = KnownHandlers(
        knows=lambda name: registry.get(name) is not None,
        patience_s=settings.unknown_handler_s,
        on_unknown=lambda task, unknown_ms: unknown_handler(task, unknown_ms, state.now()),
    )
    policies = {"run_node": policy, "deliver_results": ActorPolicy()}
    broker = build_broker(
        settings,
        policies,
        timing,
        owner=owner,
        known=known,
        service="worker",
        concurrency=settings.concurrency,
    )
    passes_on = settings.unknown_handler_s > 0
    holding = AsyncHolding(broker)
    nodes = AsyncNodes(worker_state, runner, invoker, secrets, speed, holding, passes_on=passes_on)
    queues = tuple(sorted({item.queue for item in registry}))
    call = WebhookCall(invoker.http, settings.webhook_key, secrets.redact)
    declare(broker, runner, groups, Sender(RedisSending(state), call, random.random), queues[0], nodes)
    for queue in queues[1:]:
        broker.declare_queue(queue)
    for queue in queues:
        broker.declare_queue(async_line(queue))
    draining = None if announce is None else Draining(broker, announce)
    watchdog = Watchdog(
        runner,
        groups,
        settings.grace_s,
        stop,
        nodes=nodes,
        draining=draining,
        loop_silent_s=invoker.loop_silent_s,
    )
    broker.add_middleware(Watching(watchdog))
    check = StartCheck(state, "worker", queues)
    return WorkerParts(broker, runner, watchdog, invoker, queues, check, children)


def _children(registry: Registry, settings: Settings, secrets: Secrets) -> Children | None:
    """The child processes for isolated handlers, none of them started; None if there is no such handler."""
    if not any(item.isolated for item in registry):
        return None
    program = [sys.executable, "-P", "-m", ISOLATED_PROGRAM, str(os.getpid())]
    most = settings.limits.max_result_bytes
    return Children(program, hidden=secrets.passing, max_result_bytes=most)


def setup() -> None:
    """Entry point for `dramatiq flowengine.worker:setup`."""
    settings = read_settings()
    configure_logs("worker", level=settings.log_level, log_format=settings.log_format)
    redact_prints()
    parts = build(settings, read_environment(), threading.Event())
    parts.check.wait(threading.Event())
    dramatiq.set_broker(parts.broker)


def run_process(
    settings: Settings,
    *,
    threads: int,
    queues: tuple[str, ...] | None = None,
    stop: threading.Event,
    announce: Callable[[float], None],
    owner: str = "",
) -> int:
    """Run one worker process until `stop` is set; finishes what runs, at most `grace_s`.

    `queues`: serve only these. `owner`: serve those that this execution has of its own. `announce` is told
    when this process drains, and for how many seconds at most. Returns the exit code: 0, or 70 when a
    handler's thread was lost.
    """
    parts = build(settings, read_environment(), stop, announce=announce, owner=owner)
    _check_queues(queues or (), parts.queues)
    parts.check.wait(stop)
    if not owner:
        serve_metrics(settings, "worker", parts.broker)
    start_tracing(settings, "worker")
    if stop.is_set():  # told while it started: it takes no work only to hand it back
        parts.broker.close()
        parts.invoker.close()
        return 0
    served = (
        None if queues is None else tuple(line for queue in queues for line in (queue, async_line(queue)))
    )
    collect_rarely()
    worker = start_worker(parts.broker, threads=threads, queues=served)
    if parts.children is not None:
        parts.children.warm_up()
    stop.wait()
    grace_s = 0 if parts.watchdog.drained else settings.grace_s
    ends_by = time.monotonic() + grace_s + ENDS_AFTER_GRACE_S
    # A lost thread does not come back, and nothing else is left once the process has drained.
    if parts.broker.stop(worker, within_s=grace_s):
        parts.broker.close()
    parts.invoker.close(within_s=max(LEAST_CLEAN_UP_S, ends_by - time.monotonic()))
    return LOST_EXIT if parts.watchdog.lost else 0


def _check_queues(wanted: tuple[str, ...], known: tuple[str, ...]) -> None:
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise SettingsError(
            f"--queues: no handler uses the queue '{unknown[0]}'; the ones in use are {', '.join(known)}"
        )
