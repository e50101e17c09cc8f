"""Submits calls and chains to Celery."""

from __future__ import annotations

import time

import celery

from tests.benchmarks.drivers import marks
from tests.benchmarks.drivers.lines import Samples, serve
from tests.benchmarks.waiting.called import Calls, url_of
from tests.benchmarks.waiting.celery_app import call, finish, noop


def begin(count: int, seconds: float, batch: str) -> None:
    """A task each."""
    for _ in range(count):
        call.delay(url_of(seconds), batch)


def chain(nodes: int) -> Samples:
    """A chain of immutable signatures."""
    mark = marks.fresh()
    began = time.perf_counter()
    celery.chain(*(noop.si() for _ in range(nodes - 1)), finish.si(mark)).apply_async()
    return {"seconds": [marks.timed(mark, began)]}


if __name__ == "__main__":
    serve({"chain": chain, **Calls(begin).workloads()})
