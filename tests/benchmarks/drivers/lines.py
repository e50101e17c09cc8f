"""How the benchmark talks to a driver: one JSON object a line, in and out. Standard library only.

A driver runs in the virtual environment of the system that it measures, so it can import nothing of
the benchmark but this package.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping

Samples = dict[str, list[float]]
Workload = Callable[..., Samples]


def redis_url() -> str:
    """The server that this system uses."""
    return os.environ["BENCH_REDIS_URL"]


def serve(workloads: Mapping[str, Workload]) -> None:
    """Answer requests until standard input ends."""
    for line in sys.stdin:
        request = json.loads(line)
        answer: dict[str, object]
        try:
            answer = {"samples": workloads[request["workload"]](**request["arguments"])}
        except Exception as error:  # noqa: BLE001 - a system that cannot do a workload is a finding
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)
