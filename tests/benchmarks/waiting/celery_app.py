"""Celery as it comes, with a task that makes a call by requests, and one that does nothing."""

from __future__ import annotations

import requests
from celery import Celery

from tests.benchmarks.drivers import marks
from tests.benchmarks.drivers.lines import redis_url
from tests.benchmarks.waiting.called import ended

app = Celery("bench", broker=redis_url(), backend=redis_url())
app.conf.update(
    broker_connection_retry_on_startup=True, worker_hijack_root_logger=False, task_ignore_result=True
)


def _call(url: str, batch: str) -> None:
    """A node that waits for a service."""
    requests.get(url, timeout=60).raise_for_status()
    ended(batch)


def _noop() -> None:
    """A node that does nothing."""


def _finish(mark: str) -> None:
    """The last node."""
    marks.leave(mark)


call = app.task(name="call")(_call)
noop = app.task(name="noop")(_noop)
finish = app.task(name="finish")(_finish)
