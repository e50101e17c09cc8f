"""Rules of deleting executions, and of one action on many of them."""

from __future__ import annotations

from typing import Final

from tests.fault.mutations.mutant import Mutant

DELETING: Final = ("tests/integration/engine/test_engine_deleting.py",)


def _in(rule: str, path: str, old: str, new: str) -> Mutant:
    return Mutant(rule, f"flowengine/{path}.py", old, new, DELETING)


def _bulk(rule: str, path: str, old: str, new: str) -> Mutant:
    return Mutant(rule, f"flowengine/{path}.py", old, new, ("tests/integration/engine/test_engine_bulk.py",))


MUTANTS: Final = (
    _bulk(
        "a step of a bulk is dealt with once",
        "engine/advancing/steps/bulk_step",
        "or found[1].step != message.step:",
        "or False:",
    ),
    _bulk(
        "of two processes with one batch of a bulk one goes on",
        "store/bulks",
        "        if found != [str(step).encode(), reached.encode()]:\n",
        "        if False:\n",
    ),
    _bulk(
        "what a filter does not mean any more is left alone",
        "engine/advancing/steps/bulk_step",
        "if wanted is not None and not _is_wanted(wanted, execution, unit.record):",
        "if False:",
    ),
    _bulk(
        "a filter means what was created before",
        "engine/commands/bulk",
        "    return replace(wanted, created_before=before)",
        "    return wanted",
    ),
    _bulk(
        "what is done counts in the same transaction",
        "store/bulks",
        "        commands += counting(self._key, counted)\n",
        "",
    ),
    _bulk(
        "a dry run counts as the commands refuse",
        "execution/requests/bulk",
        "return not is_over(record.status)",
        "return True",
    ),
    _bulk(
        "one that cannot be dealt with holds up no other",
        "engine/advancing/steps/bulk_step",
        '                raise\n            log.error("bulk.passed_over"',
        '                raise\n            raise\n            log.error("bulk.passed_over"',
    ),
    _bulk(
        "a bulk that runs executions again asks whether they may come in",
        "store/bulks",
        "if admits else None",
        "if False else None",
    ),
    _bulk(
        "a dry run of reruns counts what each would reset",
        "engine/advancing/steps/bulk_step",
        'if refused is None and self._bulk.action == "rerun":',
        "if False:",
    ),
    _bulk(
        "the events of a bulk tell who asked for it",
        "engine/commands/bulk",
        "by=who.key,",
        "by=None,",
    ),
    _bulk(
        "a bulk ends with its key",
        "engine/advancing/steps/bulk_step",
        "        if not self._store.may_go_on(bulk):\n",
        "        if False:\n",
    ),
    _bulk(
        "a key of the same name that was made later does not stand for that of a bulk",
        "store/access/stored_keys",
        "key.created_at == made_at and ",
        "",
    ),
    _bulk(
        "the nodes of a rerun count in the transaction that begins it",
        "engine/commands/rerun",
        "        if tell is not None:\n",
        "        if False:\n",
    ),
    _in(
        "what has not ended is not deleted",
        "execution/rules/steering/deleting",
        'return status == "pending" or is_over(status)',
        "return True",
    ),
    _in(
        "what is doomed is deleted once it has ended",
        "execution/rules/concluding",
        "    if control.doomed:\n        return (deletion(run), *told)\n",
        "",
    ),
    _in(
        "what is doomed is read by what ends it",
        "store/codec",
        "        doomed is not None,\n",
        "        False,\n",
    ),
    _in(
        "a doomed execution is not triggered",
        "engine/commands/trigger",
        "        if record.doomed:\n",
        "        if False:\n",
    ),
    _in(
        "a doomed execution that is paused and stopped goes on",
        "execution/rules/steering/deleting",
        "*(stopped or resume(control, run, stop.at, stop.by))",
        "*stopped",
    ),
    _in(
        "a message for what goes on deletes nothing",
        "engine/advancing/steps/delete_step",
        "if not control.doomed or not may_be_deleted(control.status):",
        "if False:",
    ),
    _in(
        "what is deleted is remembered until its last key is gone",
        "store/committing/removal",
        '        ("ZADD", names.deleting, change.at, execution),\n',
        "",
    ),
    _in(
        "what is deleted is in no list",
        "store/committing/removal",
        '        ("ZREM", names.listing(list_of(change.status)), execution),\n',
        "",
    ),
    _in(
        "the entries of what is deleted go",
        "store/committing/removal",
        "if entries else []",
        "if False else []",
    ),
    _in(
        "the sweep leaves alone what a message may still do",
        "engine/maintenance/unfinished_deletes",
        "if at < before and",
        "if",
    ),
    _in(
        "the sweep leaves alone what has just ended",
        "engine/maintenance/unfinished_deletes",
        "if record is not None and (not is_over(record.status) or record.finished_at >= before):",
        "if record is not None and not is_over(record.status):",
    ),
    _bulk(
        "what cannot be read does not hold up a filter",
        "engine/advancing/steps/bulk_step",
        "        if len(executions) == 1:\n            return {}\n",
        "        if len(executions) == 1:\n            raise\n",
    ),
    _bulk(
        "a message of a bulk that raises each time is let go of",
        "engine/advancing/steps/bulk_step",
        "            if held.delivery < LAST_DELIVERY:\n                raise\n",
        "            if True:\n                raise\n",
    ),
)
