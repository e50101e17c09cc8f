"""Submits the workloads to Dramatiq and waits for their ends."""

from __future__ import annotations

import time
from collections.abc import Callable

import dramatiq

from tests.benchmarks.drivers import marks
from tests.benchmarks.drivers.dramatiq_app import (
    broker,
    echo,
    fan,
    finish,
    finish_payload,
    make,
    noop,
    step,
)
from tests.benchmarks.drivers.lines import Samples, serve

POLL_S = 0.002


def chain(nodes: int) -> Samples:
    """A pipeline; each message enqueues the next."""
    mark = marks.fresh()
    began = time.perf_counter()
    links = [noop.message_with_options(pipe_ignore=True) for _ in range(nodes - 1)]
    dramatiq.pipeline([*links, finish.message_with_options(args=(mark,), pipe_ignore=True)]).run()
    return {"seconds": [marks.timed(mark, began)]}


def fan_out(width: int) -> Samples:
    """A node that runs a group with a completion callback."""
    mark = marks.fresh()
    began = time.perf_counter()
    fan.send(width, mark)
    return {"seconds": [marks.timed(mark, began)]}


def bare(nodes: int) -> Samples:
    """So many messages, one a node, sent by the driver; ends when all are acknowledged."""
    pending = broker.namespace + ":default.msgs"
    began = time.perf_counter()
    for _ in range(nodes):
        noop.send()
    while marks.client().hlen(pending):
        time.sleep(POLL_S)
    return {"seconds": [time.perf_counter() - began]}


def single() -> Samples:
    """One message."""
    return _many(1, finish.send)


def many(count: int) -> Samples:
    """Five nodes in a row, each a task and a callback that enqueues the next."""
    return _many(count, lambda mark: step.send(5, mark))


def many_group(count: int) -> Samples:
    """Five nodes: one, then a group of three, then its callback."""
    return _many(count, lambda mark: fan.send(3, mark))


def payload(nodes: int, size: int) -> Samples:
    """A pipeline that passes a payload down."""
    mark = marks.fresh()
    began = time.perf_counter()
    # A pipeline appends each result to the arguments of the next message.
    echoes = [echo.message_with_options() for _ in range(nodes - 2)]
    links = [make.message(size), *echoes, finish_payload.message_with_options(args=(mark,))]
    dramatiq.pipeline(links).run()
    return {"seconds": [marks.timed(mark, began)]}


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
            "bare": bare,
            "single": single,
            "many": many,
            "many_group": many_group,
            "payload": payload,
        }
    )
