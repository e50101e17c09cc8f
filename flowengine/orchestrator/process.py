"""How an orchestrator process is put together, started and stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable

import dramatiq
from dramatiq.middleware import Middleware

from flowengine.bootstrap import (
    build_broker,
    build_sweep_state,
    hide_secrets,
    read_environment,
    read_settings,
    serve_metrics,
    start_tracing,
    start_worker,
)
from flowengine.broker.broker import StreamsBroker
from flowengine.broker.policy import ActorPolicy
from flowengine.broker.timing import TIMING, Timing
from flowengine.engine.advancing.orchestrator import Orchestrator
from flowengine.engine.maintenance.lapsed_runs import LapsedRuns
from flowengine.engine.maintenance.sweep import SweepLoop
from flowengine.engine.maintenance.timer_loop import TimerLoop
from flowengine.heuristics import JOINED_CALLBACKS, JOINED_STARTS
from flowengine.observability import configure_logs
from flowengine.orchestrator.actors import declare, is_small_callback, is_small_start
from flowengine.orchestrator.rare_steps import RareSteps
from flowengine.settings import Settings
from flowengine.store.maintenance.own_queues import RedisOwnQueues
from flowengine.store.maintenance.sweep_reads import RedisSweepState
from flowengine.store.maintenance.timer_store import RedisTimers
from flowengine.store.server_checks.start_check import StartCheck
from flowengine.supervision.garbage import collect_rarely

DEFAULT_THREADS = 2

POLICIES = {
    "start_execution": ActorPolicy(join=JOINED_STARTS, may_join=is_small_start, is_quick=is_small_start),
    "node_finished": ActorPolicy(join=JOINED_CALLBACKS, is_quick=is_small_callback),
    "timer_fired": ActorPolicy(),
    "stop_execution": ActorPolicy(),
    "resume_execution": ActorPolicy(),
    "delete_execution": ActorPolicy(),
    "copy_results": ActorPolicy(),
    "run_bulk": ActorPolicy(),
    "fire_schedule": ActorPolicy(),
    "start_followers": ActorPolicy(),
    "node_overruled": ActorPolicy(),
    "signal_kept": ActorPolicy(),
    "line_moved": ActorPolicy(),
    "tend_child": ActorPolicy(),
    "tend_children": ActorPolicy(),
    "keep_children": ActorPolicy(),
    "delivery_attempted": ActorPolicy(),
}


class Loops(Middleware):
    """The timer loop and the sweep run while Dramatiq's Worker does."""

    def __init__(self, state: RedisSweepState, settings: Settings) -> None:
        self._stop = threading.Event()
        self._timers = TimerLoop(RedisTimers(state), self._stop, hold_s=settings.lease_s)
        # An execution with queues of its own has processes of its own, which see to nothing else.
        lapsed = None if state.keys.owner else LapsedRuns(RedisOwnQueues(state), hold_s=settings.lease_s)
        self._sweep = SweepLoop(
            state,
            settings.sweep_s,
            self._stop,
            lapsed=lapsed,
            stop_s=settings.stop_s,
            lease_s=settings.lease_s,
        )

    def after_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Start them."""
        self._timers.start()
        self._sweep.start()

    def before_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Ask them to end; they are daemons, and end at their next turn."""
        self._timers.stop()


def build(settings: Settings, timing: Timing = TIMING, *, owner: str = "") -> StreamsBroker:
    """The broker with the orchestrator's actors and loops."""
    return _build(settings, build_sweep_state(settings, owner=owner), timing)


def _build(settings: Settings, state: RedisSweepState, timing: Timing = TIMING) -> StreamsBroker:
    broker = build_broker(settings, POLICIES, timing, owner=state.keys.owner, service="orchestrator")
    engine = Orchestrator(state, lease_s=settings.lease_s, stop_s=settings.stop_s)
    declare(broker, engine, RareSteps(state))
    broker.add_middleware(Loops(state, settings))
    return broker


def setup() -> None:
    """Entry point for `dramatiq flowengine.orchestrator:setup`."""
    settings = read_settings()
    configure_logs("orchestrator", level=settings.log_level, log_format=settings.log_format)
    hide_secrets(settings, read_environment())
    state = build_sweep_state(settings)
    StartCheck(state, "orchestrator").wait(threading.Event())
    dramatiq.set_broker(_build(settings, state))


def run_process(
    settings: Settings,
    *,
    threads: int,
    queues: tuple[str, ...] | None = None,
    stop: threading.Event,
    announce: Callable[[float], None],
    owner: str = "",
) -> int:
    """Run one orchestrator process until `stop` is set; finishes what runs, at most `grace_s`.

    `owner`: see to this execution only, by queues of its own. Returns the exit code. `queues` and `announce`
    are accepted for the worker's sake: there is one queue here, and no user's code that could hang.
    """
    hide_secrets(settings, read_environment())
    state = build_sweep_state(settings, owner=owner)
    broker = _build(settings, state)
    StartCheck(state, "orchestrator").wait(stop)
    if not owner:
        serve_metrics(settings, "orchestrator", broker)
    start_tracing(settings, "orchestrator", state)
    if stop.is_set():  # told while it started: it takes no work only to hand it back
        broker.close()
        return 0
    collect_rarely()
    worker = start_worker(broker, threads=threads)
    stop.wait()
    if broker.stop(worker, within_s=settings.grace_s):
        broker.close()
    return 0
