"""What every test may use."""

from __future__ import annotations

from hypothesis import settings

pytest_plugins = [
    "tests.support.servers.valkey",
    "tests.support.rigs.broker_rig",
    "tests.support.checks.invariants",
    "tests.support.rigs.harness",
]

# The same examples each time, on a machine of any speed, so that the verdict is about the commit. New
# ones are looked for by `just fault`.
settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.register_profile("exploring", max_examples=1000, deadline=None, print_blob=True)
settings.load_profile("repeatable")
