"""Rules of access: which keys are valid, and what each lets its holder do."""

from __future__ import annotations

from typing import Final

from tests.fault.mutations.mutant import Mutant

ROLES: Final = ("tests/unit/api/test_api_roles.py",)
TABLE: Final = ("tests/unit/access/test_roles.py",)

MUTANTS: Final = (
    Mutant(
        "a key does what its role allows, and nothing else",
        "flowengine/api/access/key_guard.py",
        "    if not allows(caller.role, needed):\n",
        "    if False:\n",
        ROLES,
    ),
    Mutant(
        "a route says which role it needs",
        "flowengine/api/routes/executions/cancel_execution.py",
        ', NEEDS_ROLE: "operate"',
        "",
        ROLES,
    ),
    Mutant(
        "who steers executions may not post documents",
        "flowengine/access/roles.py",
        '"operate": ("run", "decide"),',
        '"operate": ("author", "decide"),',
        TABLE,
    ),
)
