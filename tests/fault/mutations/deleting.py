"""Rules of deleting an execution: when it may be, what is gone at once, what follows its end."""

from __future__ import annotations

from typing import Final

from tests.fault.mutations.mutant import Mutant

DELETING: Final = ("tests/integration/engine/test_engine_deleting.py",)


def _in(rule: str, path: str, old: str, new: str) -> Mutant:
    return Mutant(rule, f"flowengine/{path}.py", old, new, DELETING)


MUTANTS: Final = (
    _in(
        "what has not ended is not deleted",
        "execution/rules/deleting",
        'return status == "pending" or is_over(status)',
        "return True",
    ),
    _in(
        "what is doomed is deleted once it has ended",
        "execution/rules/concluding",
        "*([deletion(run)] if control.doomed else []),",
        "",
    ),
    _in(
        "what is doomed is read by what ends it",
        "store/codec",
        "bool(more) and more[1] is not None,",
        "False,",
    ),
    _in(
        "a doomed execution is not triggered",
        "engine/commands/trigger",
        "        if record.doomed:\n",
        "        if False:\n",
    ),
    _in(
        "a doomed execution that is paused and stopped goes on",
        "execution/rules/deleting",
        "*(stopped or resume(control, run, stop.at))",
        "*stopped",
    ),
    _in(
        "a message for what goes on deletes nothing",
        "engine/advancing/delete_step",
        "if not control.doomed or not may_be_deleted(control.status):",
        "if False:",
    ),
    _in(
        "what is deleted is remembered until its last key is gone",
        "store/removal",
        '        ("ZADD", names.deleting, change.at, execution),\n',
        "",
    ),
    _in(
        "what is deleted is in no list",
        "store/removal",
        '        ("ZREM", names.listing(list_of(change.status)), execution),\n',
        "",
    ),
    _in(
        "the entries of what is deleted go",
        "store/removal",
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
)
