"""What every test may use."""

from __future__ import annotations

pytest_plugins = [
    "tests.support.valkey",
    "tests.support.broker_rig",
    "tests.support.invariants",
    "tests.support.harness",
]
