"""Submits calls and pipelines to Dramatiq."""

from __future__ import annotations

import time

import dramatiq

from tests.benchmarks.drivers import marks
from tests.benchmarks.drivers.lines import Samples, serve
from tests.benchmarks.waiting.called import Calls, url_of
from tests.benchmarks.waiting.dramatiq_app import call, finish, noop


def begin(count: int, seconds: float, batch: str) -> None:
    """A message each."""
    for _ in range(count):
        call.send(url_of(seconds), batch)


def chain(nodes: int) -> Samples:
    """A pipeline; each message enqueues the next."""
    mark = marks.fresh()
    began = time.perf_counter()
    links = [noop.message_with_options(pipe_ignore=True) for _ in range(nodes - 1)]
    dramatiq.pipeline([*links, finish.message_with_options(args=(mark,), pipe_ignore=True)]).run()
    return {"seconds": [marks.timed(mark, began)]}


if __name__ == "__main__":
    serve({"chain": chain, **Calls(begin).workloads()})
