"""Rules of reruns as new executions: what is copied, from what, and when the new one begins."""

from __future__ import annotations

from typing import Final

from tests.fault.mutations.mutant import Mutant

FORKS: Final = ("tests/integration/engine/test_engine_forks.py",)


def _step(rule: str, old: str, new: str) -> Mutant:
    return Mutant(rule, "flowengine/engine/forking/copy_step.py", old, new, FORKS)


def _rule(rule: str, old: str, new: str) -> Mutant:
    return Mutant(rule, "flowengine/execution/rules/steering/forking.py", old, new, FORKS)


def _commands(rule: str, old: str, new: str, path: str = "store/committing/fork_commands") -> Mutant:
    return Mutant(rule, f"flowengine/{path}.py", old, new, FORKS)


MUTANTS: Final = (
    _step("a fork copies of the run that was looked at", " and control.run == origin.run", ""),
    _step(
        "a fork that has begun or was stopped copies nothing",
        '    return control is not None and control.status == "pending" and not control.run\n',
        "    return control is not None\n",
    ),
    _step("a fork begins with the last step", "        if count < len(names):\n", "        if count < 0:\n"),
    _step(
        "what the copied results take counts towards the fork's limit",
        "        return [*changes, *bytes_of(copies)]\n",
        "        return changes\n",
    ),
    _step("a fork waits for its turn", "        if place is not None:\n", "        if False:\n"),
    _rule("what is another in this version is not reused", " and _definition(was, before) == _d", " or _d"),
    _rule(
        "what is below another definition is not reused",
        "        above = all(plan.nodes[parent].id in found for parent in node.parents)\n",
        "        above = True\n",
    ),
    _rule(
        "what has not ended is not reused",
        "    return is_final(record.status) and not record.unsettled\n",
        "    return True\n",
    ),
    _rule(
        "what would go on in the same execution begins from its start in a fork",
        "    rerun = replace(rerun, goes_on=frozenset(), keeps=named, not_possible=hindered)\n",
        "",
    ),
    _rule("the children of an origin are its own", "child=None, turn=None", "turn=None"),
    _rule("copies are of the fork's first run", "run=FORK_RUN - 1, ", ""),
    _rule("a fork that could not be made goes after an hour", ", kept_s=FAILED_KEPT_S", ""),
    _commands(
        "a copy takes the place of one before",
        '("COPY", source, target, "REPLACE")',
        '("COPY", source, target)',
    ),
    _commands(
        "a copy expires with the fork that has not begun",
        '            yield ("EXPIREAT", target, gone)\n',
        "",
    ),
    _commands(
        "the copies stay once the fork has begun",
        "            if change.copied:\n                names += self._copied(execution, change)\n",
        "",
        "store/committing/encode_changes",
    ),
    _commands(
        "what is left of a deleted fork goes",
        "names.fork(execution), names.listed(execution)]",
        "names.listed(execution)]",
        "store/committing/removal",
    ),
    _commands(
        "a fork cannot be triggered before it begins",
        "        _refuse_fork(execution, record)\n",
        "",
        "engine/commands/trigger",
    ),
    _commands(
        "a var that is another is made anew",
        " or (was is not None and was.vars.get(name) != one)",
        "",
        "workflow/inputs/changing",
    ),
)
