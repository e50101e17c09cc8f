"""`python -m tests.benchmarks [quick|full]`: the engine beside its peers, in one run on this machine."""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from tests.benchmarks import report
from tests.benchmarks.figures import Figures
from tests.benchmarks.phases import Run, workloads
from tests.benchmarks.sizes import FULL, QUICK
from tests.benchmarks.systems import DEFAULT, SYSTEMS

PHASES = ("idle", "single", "memory", "backlog", "lateness", "waiting", "flood")


def main(arguments: Sequence[str]) -> int:
    """Measure and print; 0 even where a figure is missed, 130 when interrupted."""
    labels = (*workloads(QUICK), *PHASES)
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("length", nargs="?", choices=("quick", "full"), default="full")
    parser.add_argument(
        "--only", nargs="+", choices=labels, default=[], metavar="NAME", help=", ".join(labels)
    )
    parser.add_argument("--peers", nargs="*", choices=[n for n in SYSTEMS if n != "flowengine"])
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write everything measured to FILE")
    options = parser.parse_args(arguments)
    names = DEFAULT[options.length] if options.peers is None else tuple(options.peers)
    systems = [SYSTEMS[name]() for name in ("flowengine", *names)]
    sizes = QUICK if options.length == "quick" else FULL
    signal.signal(signal.SIGTERM, _interrupt)
    began = time.monotonic()
    run = Run(systems, sizes, frozenset(options.only), lambda line: print(f"  {line}", file=sys.stderr))
    try:
        run.all()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    figures = Figures(run.findings, sizes)
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    print(f"{machine}, Python {platform.python_version()}")
    tables = (
        report.measured(systems, figures, run.findings),
        report.waiting(figures, run.findings),
        report.asked(figures.rows()),
    )
    print("\n" + "\n\n".join(filter(None, tables)))
    print(f"\n{options.length}: {time.monotonic() - began:.0f} s")
    if options.json:
        options.json.write_bytes(run.findings.as_json())
    return 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
