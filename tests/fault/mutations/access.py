"""Rules of access: which keys are valid, and what each lets its holder do."""

from __future__ import annotations

from typing import Final

from tests.fault.mutations.mutant import Mutant

ROLES: Final = ("tests/unit/api/test_api_roles.py",)
KEYS: Final = ("tests/unit/api/test_api_stored_keys.py",)
STORED: Final = ("tests/integration/access/test_stored_keys.py",)
AUDIT: Final = ("tests/integration/access/test_audit.py",)
PAGES: Final = ("tests/integration/access/test_page_sessions.py",)
STREAMS: Final = ("tests/unit/api/test_api_watching.py",)
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
        "flowengine/api/routes/steering/cancel_execution.py",
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
    Mutant(
        "an expired key opens nothing",
        "flowengine/api/access/current_keys.py",
        "if found is None or found.has_expired(self._now()):",
        "if found is None:",
        KEYS,
    ),
    Mutant(
        "keys that were read long ago are not used",
        "flowengine/api/access/current_keys.py",
        "        await self._be_younger_than(OLDEST_S)\n        found = self._stored.get(digest)\n",
        "        found = self._stored.get(digest)\n",
        KEYS,
    ),
    Mutant(
        "an API that has asked for keys goes on asking",
        "flowengine/api/access/current_keys.py",
        "self._asks = self._asks or found.any_made",
        "self._asks = found.any_made",
        KEYS,
    ),
    Mutant(
        "that there was a key is remembered",
        "flowengine/store/access/stored_keys.py",
        '                ("HSETNX", API_KEYS, _MADE, created_at),\n',
        '                ("TIME",),\n',
        STORED,
    ),
    Mutant(
        "a key of a name that is taken is not made",
        "flowengine/store/access/stored_keys.py",
        '("HSETNX", API_KEYS, name, kept)',
        '("HSET", API_KEYS, name, kept)',
        STORED,
    ),
    Mutant(
        "a command that changes in steps is told of once",
        "flowengine/store/api_state.py",
        "        was_written(note)\n        return encoder",
        "        return encoder",
        AUDIT,
    ),
    Mutant(
        "a change is made where it cannot be told of",
        "flowengine/store/access/audit_log.py",
        "        commands.may_fail = (*commands.may_fail, len(commands))\n",
        "",
        AUDIT,
    ),
    Mutant(
        "what changes something is told of",
        "flowengine/api/access/key_guard.py",
        "            act(Note(",
        "            (Note(",
        AUDIT,
    ),
    Mutant(
        "a session ends with its key",
        "flowengine/api/access/page_sessions.py",
        "        return await self._keys.find(found.key_digest)\n",
        "        return ApiKey(id='ci', digest='', role='admin', kept_in='redis')\n",
        PAGES,
    ),
    Mutant(
        "a session whose time is over opens nothing",
        "flowengine/api/access/page_sessions.py",
        "found is None or found.expires_at <= await self._keys.now()",
        "found is None",
        PAGES,
    ),
    Mutant(
        "a session that was ended is forgotten",
        "flowengine/api/access/page_sessions.py",
        "        self._known.pop(digest, None)\n        if await",
        "        if await",
        PAGES,
    ),
    Mutant(
        "a revoked key ends its streams",
        "flowengine/api/watching/event_stream.py",
        "                if not await is_let_in():\n                    return\n",
        "",
        STREAMS,
    ),
)
