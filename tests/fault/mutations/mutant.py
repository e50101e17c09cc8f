"""One rule and a change to the code that breaks it, and the tests that must notice."""

from __future__ import annotations

from typing import Final

import msgspec

RULES: Final = tuple(
    f"tests/unit/execution/test_{part}.py"
    for part in (
        "finishing",
        "failing",
        "readiness",
        "dispatching",
        "concluding",
        "deadlines",
        "starting",
    )
)
DECIDING: Final = tuple(
    f"tests/unit/rules/test_{part}.py" for part in ("trigger_rules", "descent", "resets", "own_failures")
)
GRAPHS: Final = ("tests/integration/engine/test_engine_graphs.py",)
ADMISSION: Final = ("tests/integration/store/test_store_admission.py",)
WORKER: Final = (
    "tests/unit/engine/test_quick_group.py",
    "tests/unit/engine/test_runner_reports.py",
    "tests/unit/engine/test_starts.py",
    "tests/integration/engine/test_engine_limits.py",
)
ENGINE: Final = (
    "tests/integration/engine/test_engine_callbacks.py",
    "tests/integration/engine/test_engine_ahead.py",
    "tests/integration/engine/test_engine_timers.py",
    "tests/integration/engine/test_engine_sweep.py",
    "tests/integration/store/test_store_lifetimes.py",
    "tests/integration/store/test_store_connection.py",
    "tests/integration/store/test_store_triggers.py",
    "tests/integration/engine/test_engine_crashes.py",
    "tests/property/test_execution_graphs.py",
    "tests/property/test_execution_machine.py",
)
BROKER: Final = (
    "tests/unit/broker/test_broker_assembly.py",
    "tests/unit/broker/test_broker_held_messages.py",
    "tests/integration/broker/test_broker_ownership.py",
    "tests/integration/broker/test_broker_burial.py",
    "tests/integration/broker/test_broker_put_off.py",
    "tests/integration/broker/test_broker_ordinary_messages.py",
    "tests/integration/broker/test_broker_leases.py",
    "tests/integration/broker/test_broker_engine_messages.py",
    "tests/integration/broker/test_broker_inline.py",
    "tests/integration/broker/test_broker_rights.py",
)


class Mutant(msgspec.Struct, frozen=True):
    """One rule, and how to break it: `old`, which occurs once in the file, becomes `new`."""

    rule: str
    path: str
    old: str
    new: str
    tests: tuple[str, ...] = ENGINE
