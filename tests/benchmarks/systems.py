"""What is measured: which processes make up each system, and how they are matched.

Every system gets two processes that execute, with six threads between them, and a server of its own
(append-only file, fsync every second). FlowEngine's are one orchestrator of 2 threads and one worker of
4; the peers' are two workers of 3 each. Supervisors, masters and FlowEngine's API come on top, and
count for CPU and memory.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from tests.benchmarks.environments import python_of

DRAMATIQ = "dramatiq[redis]==2.2.1"
CELERY = "celery[redis]==5.7.0"
HIREDIS = "hiredis==3.5.0"
# Newer ones do not start beside the FastAPI that they ask for.
PREFECT = ("prefect==3.4.*", "fastapi==0.115.*", "importlib-metadata")

ORCHESTRATOR_THREADS = 2
WORKER_THREADS = 4
PEER_PROCESSES = 2
PEER_THREADS = 3


class System(msgspec.Struct, frozen=True, kw_only=True):
    """One system: the commands of its services, the module of its driver, what it can do.

    `python` finds the interpreter, making the environment if need be. The port given to `services` is a
    free one, for a service that listens. It takes part in so many `rounds` at most.
    """

    name: str
    title: str
    python: Callable[[], Path]
    services: Callable[[Path, int], list[list[str]]]
    driver: str
    workloads: frozenset[str]
    environment: dict[str, str] = {}
    rounds: int = 1000


def flowengine() -> System:
    """Ours: orchestrator, worker and API, as `flowengine orchestrator|worker|api` start them."""

    def services(python: Path, port: int) -> list[list[str]]:
        tool = [str(python), "-m", "flowengine"]
        return [
            [*tool, "orchestrator", "--threads", str(ORCHESTRATOR_THREADS)],
            [*tool, "worker", "--threads", str(WORKER_THREADS)],
            [*tool, "api", "--port", str(port)],
        ]

    return System(
        name="flowengine",
        title="FlowEngine",
        python=lambda: Path(sys.executable),
        services=services,
        driver="tests.benchmarks.drivers.flowengine_driver",
        workloads=frozenset(
            {
                *("chain", "fan_out", "many", "many_chain", "payload", "single"),
                *("wide_100", "wide_1000", "map_1000", "map_10000", "deep_1000"),
            }
        ),
        environment={
            "FLOWENGINE_HANDLERS": "tests.benchmarks.noop_handlers",
            "FLOWENGINE_LOG_LEVEL": "warning",
        },
    )


def with_two_orchestrators(system: System) -> System:
    """Ours with a second orchestrator, which comes first in the list of services."""

    def services(python: Path, port: int) -> list[list[str]]:
        once = system.services(python, port)
        return [once[0], *once]

    return msgspec.structs.replace(system, services=services)


def dramatiq() -> System:
    """Raw Dramatiq on its own RedisBroker."""

    def services(python: Path, port: int) -> list[list[str]]:
        matched = ["--processes", str(PEER_PROCESSES), "--threads", str(PEER_THREADS)]
        return [[str(python), "-m", "dramatiq", "tests.benchmarks.drivers.dramatiq_app", *matched]]

    return System(
        name="dramatiq",
        title="Dramatiq",
        python=lambda: python_of("dramatiq", (DRAMATIQ, HIREDIS)),
        services=services,
        driver="tests.benchmarks.drivers.dramatiq_driver",
        workloads=frozenset({"chain", "fan_out", "bare", "many", "many_group", "payload", "single"}),
    )


_CELERY_WORKLOADS = frozenset({"chain", "fan_out", "many", "many_chain", "payload", "single"})
_CELERY_QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING")


def celery() -> System:
    """Celery with thread pools: two workers of three threads, matched to ours."""

    def services(python: Path, port: int) -> list[list[str]]:
        worker = [str(python), "-m", "celery", "-A", "tests.benchmarks.drivers.celery_app", "worker"]
        pool = ["--pool", "threads", "--concurrency", str(PEER_THREADS)]
        return [
            [*worker, *pool, *_CELERY_QUIET, "--hostname", f"bench{number}@localhost"]
            for number in range(PEER_PROCESSES)
        ]

    return System(
        name="celery",
        title="Celery",
        python=lambda: python_of("celery", (CELERY, HIREDIS)),
        services=services,
        driver="tests.benchmarks.drivers.celery_driver",
        workloads=_CELERY_WORKLOADS,
    )


def celery_prefork() -> System:
    """Celery with its default pool: one worker, two child processes of one thread each."""

    def services(python: Path, port: int) -> list[list[str]]:
        worker = [str(python), "-m", "celery", "-A", "tests.benchmarks.drivers.celery_app", "worker"]
        return [[*worker, "--concurrency", str(PEER_PROCESSES), *_CELERY_QUIET]]

    return System(
        name="celery-prefork",
        title="Celery prefork",
        python=lambda: python_of("celery", (CELERY, HIREDIS)),
        services=services,
        driver="tests.benchmarks.drivers.celery_driver",
        workloads=_CELERY_WORKLOADS,
    )


def prefect() -> System:
    """Prefect: a server on SQLite, and flows that run in the driver with six threads."""

    def services(python: Path, port: int) -> list[list[str]]:
        return [[str(python), "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]]

    return System(
        name="prefect",
        title="Prefect",
        python=lambda: python_of("prefect", PREFECT),
        services=services,
        driver="tests.benchmarks.drivers.prefect_driver",
        workloads=frozenset({"chain", "fan_out", "single"}),
        environment={
            "DO_NOT_TRACK": "1",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
        },
        rounds=1,
    )


SYSTEMS: dict[str, Callable[[], System]] = {
    "flowengine": flowengine,
    "dramatiq": dramatiq,
    "celery": celery,
    "celery-prefork": celery_prefork,
    "prefect": prefect,
}

DEFAULT: dict[str, tuple[str, ...]] = {
    "quick": ("dramatiq", "celery"),
    "full": ("dramatiq", "celery", "celery-prefork", "prefect"),
}
"""The peers of each length."""
