"""What the drivers of this folder have in common: calls that are begun, counted as they end, and waited for.

Standard library and redis only: a driver runs in the virtual environment of the system that it measures.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from tests.benchmarks.drivers import marks
from tests.benchmarks.drivers.lines import Samples, Workload

URL = "BENCH_SERVICE_URL"
POLL_S = 0.005


def url_of(seconds: float) -> str:
    """Where the service answers after so long."""
    return f"{os.environ[URL]}/{seconds:g}"


def ended(batch: str) -> None:
    """A call of this batch has ended. Called by its task."""
    marks.client().incr(batch)


class Calls:
    """`begin(count, seconds, batch)` sends so many calls of so long; each task says at its end which."""

    def __init__(self, begin: Callable[[int, float, str], None]) -> None:
        self._begin = begin
        self._batch = ""
        self._count = 0

    def calls(self, count: int, seconds: float) -> Samples:
        """So many calls, from the first to the last."""
        began = time.perf_counter()
        self.begin(count, seconds)
        self.end()
        return {"seconds": [time.perf_counter() - began]}

    def begin(self, count: int, seconds: float) -> Samples:
        """Begin so many calls; `end` waits for them."""
        self._batch, self._count = marks.fresh(), count
        self._begin(count, seconds, self._batch)
        return {}

    def end(self) -> Samples:
        """Wait for those that were begun. Raises TimeoutError."""
        deadline = time.monotonic() + marks.WITHIN_S
        while (done := int(marks.client().get(self._batch) or 0)) < self._count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self._count - done} of {self._count} calls did not end")
            time.sleep(POLL_S)
        return {}

    def workloads(self) -> dict[str, Workload]:
        """For the driver to serve."""
        return {"calls": self.calls, "begin": self.begin, "end": self.end}
