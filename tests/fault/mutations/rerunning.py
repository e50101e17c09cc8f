"""Rules of a rerun: what it begins again, what it skips, and when it is refused."""

from __future__ import annotations

from typing import Final

from tests.fault.mutations.mutant import Mutant

RULES: Final = ("tests/unit/rules/test_rerunning.py",)
RUNS: Final = ("tests/integration/engine/test_engine_runs.py",)
RACES: Final = ("tests/integration/engine/test_engine_reruns.py",)


def _rule(rule: str, old: str, new: str, path: str = "execution/rules/steering/rerunning") -> Mutant:
    return Mutant(rule, f"flowengine/{path}.py", old, new, RULES)


def _command(rule: str, old: str, new: str, path: str = "engine/commands/rerun") -> Mutant:
    return Mutant(rule, f"flowengine/{path}.py", old, new, RACES)


def _history(rule: str, path: str, old: str, new: str) -> Mutant:
    return Mutant(rule, f"flowengine/{path}.py", old, new, RUNS)


MUTANTS: Final = (
    _history(
        "the oldest run goes",
        "store/committing/encode_changes",
        "oldest = change.run - KEPT_RUNS",
        "oldest = change.run - KEPT_RUNS - 1",
    ),
    _history(
        "what is told of runs expires with the execution",
        "store/committing/encode_changes",
        "        if run > 1:\n            names.append(self._keys.runs(execution))\n",
        "",
    ),
    _history(
        "what is told of runs stays while the execution runs",
        "store/committing/encode_changes",
        "            names += [self._keys.runs(execution)]\n",
        "",
    ),
    _history(
        "what is told of runs is deleted with the execution",
        "store/committing/removal",
        "*names.beside(execution), names.runs(execution)]",
        "*names.beside(execution)]",
    ),
    _rule(
        "a rerun begins the nodes that are named again",
        "            or position in first\n",
        "",
    ),
    _rule(
        "a rerun of everything begins everything again",
        '            wanted.mode == "all"\n            or ',
        "            ",
    ),
    _rule(
        "what depends on a skipped node is decided anew",
        "            or position in skipped\n",
        "",
    ),
    _rule(
        "what reads a changed input begins again",
        "            or position in readers\n",
        "",
    ),
    _rule(
        "with other inputs a one_success below begins again",
        'wanted.mode != "failed" or wanted.readers or plan.policy',
        'wanted.mode != "failed" or plan.policy',
    ),
    _rule(
        "a rerun from a node leaves failures beside it",
        '(wanted.mode == "failed" and is_failure(record))',
        "is_failure(record)",
    ),
    _rule(
        "a rerun from a node begins a one_success below it again",
        'wanted.mode != "failed" or wanted.readers or plan.policy',
        "wanted.readers or plan.policy",
    ),
    _rule(
        "what failed at once and was not settled begins again in every mode",
        "if plan.policy(position).ends or record.unsettled:",
        "if plan.policy(position).ends:",
    ),
    _rule(
        "a skipped node does not run",
        "reset = frozenset(touched) - skipped - said",
        "reset = frozenset(touched) - said",
    ),
    _rule(
        "what stays keeps a named node from running",
        'if position in rerun.reset and found in ("fail", "skip"):',
        "if False:",
    ),
    _rule(
        "a skipped node counts as ended once all above it has",
        "finished_at=now, unsettled=waits",
        "finished_at=now, unsettled=False",
    ),
    _rule(
        "a failure that stays counts",
        "failures=tuple(failures),",
        "",
        "execution/rules/starting",
    ),
    _rule(
        "a skipped node is settled by the only node above it",
        "            elif record.unsettled:\n                self._settle(position, record)\n",
        "",
        "execution/rules/descent",
    ),
    _command(
        "a rerun is refused of an execution that has gone on",
        "if asked.run is not None and record.run != asked.run:",
        "if False:",
    ),
    _command(
        "what cannot be done is refused",
        "            refuse_impossible(found.rerun, asked.wanted)\n",
        "",
    ),
    _command(
        "a rerun that was heard is answered so",
        "if applied is None or applied.token != token:",
        "if True:",
    ),
    _command(
        "a later run looks at the nodes above those that it begins with",
        "completed = EVERYTHING if positions is plan.roots else ()",
        "completed = EVERYTHING if not plan.policies else ()",
        "engine/advancing/orchestrator",
    ),
    _command(
        "a repeated callback of a later run looks at everything again",
        "plan.stages.count or callback.run > 1)",
        "plan.stages.count)",
        "engine/advancing/callback_batch",
    ),
)
