"""Rules of processes: how they end, how many there may be, what their threads may have."""

from __future__ import annotations

from typing import Final

from tests.fault.mutations.mutant import Mutant

CONNECTIONS: Final = ("tests/integration/store/test_store_connection.py",)


MUTANTS: Final = (
    Mutant(
        "each thread may have a connection",
        "flowengine/store/connection/sessions.py",
        "        max_connections=UNLIMITED,\n",
        "",
        tests=CONNECTIONS,
    ),
)
