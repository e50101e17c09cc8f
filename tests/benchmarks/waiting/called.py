"""What the drivers of this folder have in common: calls that are begun and waited for by their marks.

Standard library and redis only: a driver runs in the virtual environment of the system that it measures.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from tests.benchmarks.drivers import marks
from tests.benchmarks.drivers.lines import Samples, Workload

URL = "BENCH_SERVICE_URL"


def url_of(seconds: float) -> str:
    """Where the service answers after so long."""
    return f"{os.environ[URL]}/{seconds:g}"


class Calls:
    """`begin(count, seconds)` sends so many calls of so long; their tasks leave these marks."""

    def __init__(self, begin: Callable[[int, float], set[str]]) -> None:
        self._begin = begin
        self._left: set[str] = set()

    def calls(self, count: int, seconds: float) -> Samples:
        """So many calls, from the first to the last."""
        began = time.perf_counter()
        ended = marks.arrivals(self._begin(count, seconds))
        return {"seconds": [max(ended.values()) - began]}

    def begin(self, count: int, seconds: float) -> Samples:
        """Begin so many calls; `end` waits for them."""
        self._left = self._begin(count, seconds)
        return {}

    def end(self) -> Samples:
        """Wait for those that were begun."""
        marks.arrivals(self._left)
        return {}

    def workloads(self) -> dict[str, Workload]:
        """For the driver to serve."""
        return {"calls": self.calls, "begin": self.begin, "end": self.end}
