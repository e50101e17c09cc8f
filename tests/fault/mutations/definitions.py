"""Rules of definitions: which version a document is, what an apply writes, and what an execution keeps."""

from __future__ import annotations

from typing import Final

from tests.fault.mutations.mutant import Mutant

STORED: Final = ("tests/integration/definitions/test_stored_definitions.py",)
RULES: Final = ("tests/unit/definitions/test_definition_rules.py",)
DOCUMENTS: Final = ("tests/unit/definitions/test_applied_document.py",)
OVER_HTTP: Final = ("tests/unit/api/test_api_definitions.py",)
SCOPED: Final = ("tests/integration/access/test_scoped_keys.py",)
TOOL: Final = ("tests/unit/cli/test_cli_definitions.py",)


def _in(rule: str, path: str, old: str, new: str, tests: tuple[str, ...] = STORED) -> Mutant:
    return Mutant(rule, f"flowengine/{path}.py", old, new, tests)


MUTANTS: Final = (
    _in(
        "an apply WATCHes the hash of its name",
        "store/definitions/redis_definitions",
        "retrying_watch([key], [",
        "retrying_watch([], [",
    ),
    _in(
        "a version's content is written with it",
        "store/definitions/redis_definitions",
        "keys.PLAN, content.plan, ",
        "",
    ),
    _in(
        "the content of a version that is dropped goes with it",
        "store/definitions/redis_definitions",
        '            commands.append(("DEL", *[self._keys.version(self._name, each) for each in dropped]))\n',
        "",
    ),
    _in(
        "a name that was deleted and is applied again stays",
        "store/definitions/redis_definitions",
        ', ("PERSIST", key)])',
        "])",
    ),
    _in(
        "what is left of a name that was deleted expires",
        "store/definitions/redis_definitions",
        '        commands.append(("EXPIREAT", key, self.now // 1000 + DELETED_FOR_S))\n',
        "",
    ),
    _in(
        "a number is given once",
        "execution/definitions/records",
        "number=kept.last + 1",
        "number=len(kept.versions) + 1",
        RULES,
    ),
    _in(
        "the same document is the same version, whatever came between",
        "execution/definitions/records",
        "for record in self.versions.values() if record.value == value",
        "for record in (self.current,) if record and record.value == value",
        RULES,
    ),
    _in(
        "another text of the same document is stored",
        "execution/definitions/records",
        "rewrites = known.stored != wanted.stored",
        "rewrites = False",
        RULES,
    ),
    _in(
        "the version that comes into force is never dropped",
        "execution/definitions/records",
        " if number != current)",
        ")",
        RULES,
    ),
    _in(
        "a version of which an execution is kept is not dropped",
        "engine/definitions/definitions",
        "for number in candidates if number not in used",
        "for number in candidates",
    ),
    _in(
        "an execution is found by its version",
        "store/lists/listing_entries",
        "*([] if self.version is None else [",
        "*([] if True else [",
    ),
    _in(
        "an execution knows its version",
        "store/committing/encode_changes",
        "            fields[keys.VERSION] = change.version\n",
        "            pass\n",
    ),
    _in(
        "a repeated start is answered before its definition is read",
        "engine/definitions/definitions",
        "            answered_before(self._executions, asked.request)\n",
        "            pass\n",
    ),
    _in(
        "a document is applied under its own name only",
        "workflow/definitions/applied_document",
        "    if name is not None and own != name:\n",
        "    if False:\n",
        DOCUMENTS,
    ),
    _in(
        "each definition has idempotency keys of its own",
        "api/routes/definitions/start_definition",
        "identified(request, key, body, name)",
        "identified(request, key, body)",
        OVER_HTTP,
    ),
    _in(
        "all files are looked at before one is applied",
        "cli/stack/definitions/file_set",
        "        if wrong:\n",
        "        if False:\n",
        TOOL,
    ),
    _in(
        "nothing is deleted without being asked for",
        "cli/stack/definitions/file_set",
        "(self._absent(client) if prune else ())",
        "self._absent(client)",
        TOOL,
    ),
    _in(
        "a key for some definitions is refused what it is not for",
        "api/access/key_guard",
        "            if caller.definitions:\n",
        "            if False:\n",
        SCOPED,
    ),
    _in(
        "the name in a posted document is no definition's",
        "engine/executions",
        "return True, None if record.version is None else record.name",
        "return True, record.name",
        SCOPED,
    ),
    _in(
        "a list tells a key for some definitions of no others",
        "execution/requests/listing",
        "            and covers(self.definitions, None if record.version is None else record.name)\n",
        "",
        SCOPED,
    ),
    _in(
        "a key for some definitions compares no others",
        "api/routes/definitions/diff_definitions",
        "            _refuse_others(found, caller_of(request))\n",
        "",
        SCOPED,
    ),
)
