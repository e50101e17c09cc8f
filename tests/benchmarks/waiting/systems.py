"""What waits: each system with one worker process that may have so many calls at once.

FlowEngine's has its usual 16 threads beside them. The peers' allowed concurrency is that of greenlets or of
threads; Dramatiq's async middleware holds a thread for each coroutine.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.environments import python_of
from tests.benchmarks.systems import CELERY, DRAMATIQ, HIREDIS, ORCHESTRATOR_THREADS, System

GEVENT = "gevent==25.*"
REQUESTS = "requests==2.*"
AIOHTTP = "aiohttp==3.*"
OUR_THREADS = 16
_WORKLOADS = frozenset({"chain", "calls"})
_CELERY_QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING")


def waiting_systems(concurrency: int) -> dict[str, Callable[[], System]]:
    """By name; ours comes first."""
    return {
        "flowengine": lambda: _ours(concurrency),
        "celery-gevent": lambda: _celery("gevent", concurrency),
        "celery-threads": lambda: _celery("threads", concurrency),
        "dramatiq-gevent": lambda: _dramatiq("gevent", concurrency),
        "dramatiq-async": lambda: _dramatiq("async", concurrency),
    }


def _ours(concurrency: int) -> System:
    def services(python: Path, port: int) -> list[list[str]]:
        tool = [str(python), "-m", "flowengine"]
        return [
            [*tool, "orchestrator", "--threads", str(ORCHESTRATOR_THREADS)],
            [*tool, "worker", "--threads", str(OUR_THREADS), "--concurrency", str(concurrency)],
        ]

    return System(
        name="flowengine",
        title="FlowEngine",
        python=lambda: Path(sys.executable),
        services=services,
        driver="tests.benchmarks.waiting.flowengine_driver",
        workloads=_WORKLOADS | {"mapped_calls"},
        environment={
            "FLOWENGINE_HANDLERS": "tests.benchmarks.noop_handlers",
            "FLOWENGINE_LOG_LEVEL": "warning",
            "FLOWENGINE_EGRESS": "any",
        },
    )


def _celery(pool: str, concurrency: int) -> System:
    def services(python: Path, port: int) -> list[list[str]]:
        worker = [str(python), "-m", "celery", "-A", "tests.benchmarks.waiting.celery_app", "worker"]
        return [[*worker, "--pool", pool, "--concurrency", str(concurrency), *_CELERY_QUIET]]

    return System(
        name=f"celery-{pool}",
        title=f"Celery, {pool}",
        python=lambda: python_of("celery-waiting", (CELERY, HIREDIS, GEVENT, REQUESTS)),
        services=services,
        driver="tests.benchmarks.waiting.celery_driver",
        workloads=_WORKLOADS,
    )


def _dramatiq(kind: str, concurrency: int) -> System:
    def services(python: Path, port: int) -> list[list[str]]:
        program = python.parent / ("dramatiq-gevent" if kind == "gevent" else "dramatiq")
        matched = ["--processes", "1", "--threads", str(concurrency)]
        return [[str(program), "tests.benchmarks.waiting.dramatiq_app", *matched]]

    return System(
        name=f"dramatiq-{kind}",
        title=f"Dramatiq, {kind}",
        python=lambda: python_of("dramatiq-waiting", (DRAMATIQ, HIREDIS, GEVENT, REQUESTS, AIOHTTP)),
        services=services,
        driver="tests.benchmarks.waiting.dramatiq_driver",
        workloads=_WORKLOADS,
        environment={"BENCH_ASYNC": "1"} if kind == "async" else {},
    )
