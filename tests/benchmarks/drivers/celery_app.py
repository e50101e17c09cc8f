"""Celery as it comes, on Redis for messages and results, with no-op tasks."""

from __future__ import annotations

from celery import Celery

from tests.benchmarks.drivers import marks
from tests.benchmarks.drivers.lines import redis_url

app = Celery("bench", broker=redis_url(), backend=redis_url())
app.conf.update(broker_connection_retry_on_startup=True, worker_hijack_root_logger=False)


def _noop() -> None:
    """A node that does nothing."""


def _finish(mark: str) -> None:
    """The last node."""
    marks.leave(mark)


def _make(size: int) -> str:
    """Returns a payload."""
    return "x" * size


def _echo(payload: str) -> str:
    """Passes it on."""
    return payload


def _finish_payload(payload: str, mark: str) -> None:
    """Receives it last."""
    if payload:
        marks.leave(mark)


noop = app.task(name="noop")(_noop)
finish = app.task(name="finish")(_finish)
make = app.task(name="make")(_make)
echo = app.task(name="echo")(_echo)
finish_payload = app.task(name="finish_payload")(_finish_payload)
