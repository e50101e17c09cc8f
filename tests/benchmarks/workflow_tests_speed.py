"""`python -m tests.benchmarks.workflow_tests_speed`: the CPU time of a test of a workflow, by its nodes.

The best and the middle of several files of twenty tests each. To read a file is counted apart, and so is the
start of the command, which a run has once.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from flowengine.handlers.loading import load_registry
from flowengine.plugin import Registry
from flowengine.settings import Settings
from flowengine.testing.case_files import LoadedFile, load, run_loaded

TESTS: Final = 20
FILES: Final = 10
SIZES: Final = (1, 2, 4, 8)


def main() -> int:
    """Measure and print."""
    began = time.process_time()
    settings = Settings()
    registry = load_registry(settings.handlers)
    print(f"handlers loaded in {time.process_time() - began:.2f} s")
    print("nodes  best ms  middle ms  to read, ms")
    with tempfile.TemporaryDirectory() as folder:
        for nodes in SIZES:
            paths = [_written(Path(folder), nodes, number) for number in range(FILES)]
            began = time.process_time()
            read = [load(path, registry, settings) for path in paths]
            reading = (time.process_time() - began) * 1000 / FILES / TESTS
            times = _milliseconds(read, registry, settings)
            print(f"{nodes:5} {min(times):8.2f} {statistics.median(times):10.2f} {reading:12.2f}")
    return 0


def _milliseconds(read: Sequence[LoadedFile], registry: Registry, settings: Settings) -> list[float]:
    """Of a test, file by file. The first file is run once more: it fills what is compiled once."""
    times = []
    for file in (read[0], *read):
        began = time.process_time()
        outcomes = list(run_loaded(file, registry, settings, os.environ))
        times.append((time.process_time() - began) * 1000 / TESTS)
        if len(outcomes) != TESTS or not all(outcome.passed for outcome in outcomes):
            raise SystemExit(f"these tests fail: {file.problems or outcomes[0].differences}")
    return times[1:]


def _written(folder: Path, nodes: int, number: int) -> Path:
    """A workflow that calls a service and transforms its answer step by step, and a file of tests."""
    first = {"id": "n0", "handler": "http_request", "config": {"url": "http://127.0.0.1:9000/a.json"}}
    rest = [
        {
            "id": f"n{at}",
            "handler": "transform",
            "config": {"input": f"{{{{ n{at - 1}.result }}}}", "transform_type": "title"},
            "dependencies": [f"n{at - 1}"],
        }
        for at in range(1, nodes)
    ]
    workflow = folder / f"{nodes}_{number}.json"
    workflow.write_bytes(msgspec.json.encode({"name": f"Chain {number}", "nodes": [first, *rest]}))
    said = [f"ada {at}" for at in range(TESTS)]
    tests = [
        {
            "name": f"case {at}",
            "mocks": {"n0": {"result": text}},
            "expect": {
                "status": "completed",
                "nodes": {f"n{nodes - 1}": {"result": text.title() if nodes > 1 else text}},
            },
        }
        for at, text in enumerate(said)
    ]
    path = folder / f"{nodes}_{number}.test.json"
    path.write_bytes(msgspec.json.encode({"workflow": workflow.name, "tests": tests}))
    return path


if __name__ == "__main__":
    sys.exit(main())
