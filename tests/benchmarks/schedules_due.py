"""`python -m tests.benchmarks.schedules_due [COUNT]`: very many schedules that are due in the same minute.

COUNT schedules (10,000), a hundred a definition, are due at the same instant, while no worker runs. Each must
have started one execution. Prints how long that takes, how late the middle one was, how many messages waited
at most, and the resident memory of every process: before, the highest meanwhile, and afterwards.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
import redis

from tests.benchmarks.backlog_memory import MIB, resident
from tests.support.rigs.stack_processes import Stack, running_stack

A_DEFINITION: Final = 100
WITHIN_S: Final = 900.0
AHEAD_S: Final = 60.0
"""A minute that begins so much later at least is far enough for all to be applied."""
LINES: Final = ("fe:q:orchestrator", "fe:q:orchestrator:crowd")


def main(arguments: Sequence[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.schedules_due", description=__doc__)
    parser.add_argument("count", nargs="?", type=int, default=10_000)
    count: int = parser.parse_args(arguments).count
    with running_stack(workers=0, persistent=True, settles=False) as stack, stack.valkey.connect() as db:
        _measure(stack, db, count)
    return 0


def _measure(stack: Stack, db: redis.Redis, count: int) -> None:
    began = time.monotonic()
    due = (datetime.now(UTC) + timedelta(seconds=AHEAD_S + count / 200)).replace(second=0, microsecond=0)
    due += timedelta(minutes=1)
    for first in range(0, count, A_DEFINITION):
        _apply(stack, first, min(A_DEFINITION, count - first), due)
    applied_s = time.monotonic() - began
    before = peak = resident(stack, db)
    left_s = (due - datetime.now(UTC)).total_seconds()
    if left_s < 0:
        raise TimeoutError(f"to apply them took {applied_s:.0f} s, which is too long")
    time.sleep(left_s)
    most = 0
    while (started := db.zcard("fe:index:running")) < count:
        most = max(most, sum(db.xlen(line) for line in LINES))
        peak = {name: max(size, peak.get(name, 0)) for name, size in resident(stack, db).items()}
        if (datetime.now(UTC) - due).total_seconds() > WITHIN_S:
            raise TimeoutError(f"{started} of {count} have started")
        time.sleep(0.2)
    took_s = (datetime.now(UTC) - due).total_seconds()
    after = resident(stack, db)
    late = sorted(_late_s(db, first) for first in range(count))
    sys.stdout.write(
        f"{count} schedules, applied in {applied_s:.0f} s: all have started within {took_s:.1f} s "
        f"({count / took_s:.0f} a second), the middle one after {late[count // 2]:.1f} s; "
        f"{most} messages waited at most; resident MiB\n{'':32}{'before':>9}{'most':>9}{'after':>9}\n"
    )
    for name, size in before.items():
        columns = (size, peak.get(name, 0), after.get(name, 0))
        sys.stdout.write(f"{name:32}" + "".join(f"{each / MIB:>9.1f}" for each in columns) + "\n")


def _apply(stack: Stack, first: int, count: int, due: datetime) -> None:
    cron = f"{due.minute} {due.hour} * * *"
    name = f"due-{first}"
    document = {
        "name": name,
        "schedules": [{"id": f"s{first + at}", "cron": cron, "overlap": "allow"} for at in range(count)],
        "nodes": [{"id": "a", "handler": "set", "config": {"value": 1}}],
    }
    stack.client.put(f"/definitions/{name}", json=document).raise_for_status()


def _late_s(db: redis.Redis, number: int) -> float:
    """By how much a schedule was late: it has started one execution."""
    name = f"due-{number // A_DEFINITION * A_DEFINITION}"
    found: Any = db.xrange(f"fe:outcomes:s{number}:{name}")
    outcomes: list[dict[str, Any]] = [msgspec.json.decode(fields[b"o"]) for _, fields in found]
    if [outcome["kind"] for outcome in outcomes] != ["started"]:
        raise SystemExit(f"schedule {number}: {outcomes}")
    late: int = outcomes[0]["at"] - outcomes[0]["planned"]
    return late / 1000


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
