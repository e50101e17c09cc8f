"""Runs the workloads as Prefect flows, in this process, against a Prefect server of its own.

Prefect keeps its state in SQLite behind its server and runs a flow's tasks where the flow runs: it uses no
Redis, and no process that executes but this one. Measured for orientation only.
"""

from __future__ import annotations

import os
import time
import urllib.request

os.environ.update(
    PREFECT_API_URL=f"http://127.0.0.1:{os.environ['BENCH_PORT']}/api",
    PREFECT_LOGGING_LEVEL="ERROR",
    PREFECT_LOGGING_TO_API_ENABLED="false",
)

from prefect import flow, task
from prefect.task_runners import ThreadPoolTaskRunner

from tests.benchmarks.drivers.lines import Samples, serve

THREADS = 6
UP_WITHIN_S = 90.0


def _noop(*_: object) -> None:
    """A node that does nothing."""


def _chain(nodes: int) -> None:
    before = noop.submit()
    for _ in range(nodes - 1):
        before = noop.submit(wait_for=[before])
    before.wait()


def _fan_out(width: int) -> None:
    first = noop.submit()
    branches = [noop.submit(wait_for=[first]) for _ in range(width)]
    noop.submit(wait_for=branches).wait()


noop = task(name="noop")(_noop)
chain_flow = flow(name="chain", task_runner=ThreadPoolTaskRunner(max_workers=THREADS))(_chain)
fan_out_flow = flow(name="fan-out", task_runner=ThreadPoolTaskRunner(max_workers=THREADS))(_fan_out)


def chain(nodes: int) -> Samples:
    """Tasks that wait for one another."""
    began = time.perf_counter()
    chain_flow(nodes)
    return {"seconds": [time.perf_counter() - began]}


def fan_out(width: int) -> Samples:
    """One task, so many, one."""
    began = time.perf_counter()
    fan_out_flow(width)
    return {"seconds": [time.perf_counter() - began]}


def single() -> Samples:
    """One task."""
    taken = chain(1)["seconds"]
    return {"seconds": taken, "latencies": taken}


def _await_server() -> None:
    deadline = time.monotonic() + UP_WITHIN_S
    while True:
        try:
            urllib.request.urlopen(os.environ["PREFECT_API_URL"] + "/health", timeout=2).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


if __name__ == "__main__":
    _await_server()
    serve({"chain": chain, "fan_out": fan_out, "single": single})
