"""Submits the workloads to Celery's canvas and waits for their ends."""

from __future__ import annotations

import time
from collections.abc import Callable

import celery

from tests.benchmarks.drivers import marks
from tests.benchmarks.drivers.celery_app import echo, finish, finish_payload, make, noop
from tests.benchmarks.drivers.lines import Samples, serve


def chain(nodes: int) -> Samples:
    """A chain of immutable signatures."""
    mark = marks.fresh()
    began = time.perf_counter()
    celery.chain(*(noop.si() for _ in range(nodes - 1)), finish.si(mark)).apply_async()
    return {"seconds": [marks.timed(mark, began)]}


def fan_out(width: int) -> Samples:
    """A task, a group and a task: Celery makes a chord of the last two."""
    mark = marks.fresh()
    began = time.perf_counter()
    _diamond(width, mark)
    return {"seconds": [marks.timed(mark, began)]}


def single() -> Samples:
    """One task; it has ended when its result is there, which Celery tells by itself."""
    mark = marks.fresh()
    began = time.perf_counter()
    finish.si(mark).apply_async().get(timeout=marks.WITHIN_S)
    taken = time.perf_counter() - began
    return {"seconds": [taken], "latencies": [taken]}


def many(count: int) -> Samples:
    """Five nodes: one, then a chord of three."""
    return _many(count, lambda mark: _diamond(3, mark))


def many_chain(count: int) -> Samples:
    """Five nodes in a row."""
    return _many(
        count, lambda mark: celery.chain(*(noop.si() for _ in range(4)), finish.si(mark)).apply_async()
    )


def payload(nodes: int, size: int) -> Samples:
    """A chain that passes a payload down."""
    mark = marks.fresh()
    began = time.perf_counter()
    links = [make.s(size), *(echo.s() for _ in range(nodes - 2)), finish_payload.s(mark)]
    celery.chain(*links).apply_async()
    return {"seconds": [marks.timed(mark, began)]}


def _diamond(width: int, mark: str) -> None:
    celery.chain(noop.si(), celery.group(noop.si() for _ in range(width)), finish.si(mark)).apply_async()


def _many(count: int, submit: Callable[[str], object]) -> Samples:
    submitted: dict[str, float] = {}
    began = time.perf_counter()
    for _ in range(count):
        mark = marks.fresh()
        submitted[mark] = time.perf_counter()
        submit(mark)
    ended = marks.arrivals(set(submitted))
    return {
        "seconds": [max(ended.values()) - began],
        "latencies": [ended[mark] - submitted[mark] for mark in submitted],
    }


if __name__ == "__main__":
    serve(
        {
            "chain": chain,
            "fan_out": fan_out,
            "single": single,
            "many": many,
            "many_chain": many_chain,
            "payload": payload,
        }
    )
