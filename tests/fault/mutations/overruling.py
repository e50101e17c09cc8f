"""Rules of nodes that operators end: which may be, what becomes of their workers, what follows."""

from __future__ import annotations

from typing import Final

from tests.fault.mutations.mutant import Mutant

OVERRULING: Final = ("tests/integration/engine/test_engine_overruling.py",)


def _in(rule: str, path: str, old: str, new: str) -> Mutant:
    return Mutant(rule, f"flowengine/{path}.py", old, new, OVERRULING)


def _rule(rule: str, old: str, new: str) -> Mutant:
    return _in(rule, "execution/rules/steering/overruling", old, new)


MUTANTS: Final = (
    _rule(
        "an operator ends no node of an execution that is being stopped",
        "    if not control.lets_decide:\n",
        "    if False:\n",
    ),
    _rule(
        "an operator ends a hook when its turn has come only",
        "    if position not in plan.positions(control.stage):\n",
        "    if False:\n",
    ),
    _rule(
        "an operator's word for another run is refused",
        "if said.run not in (None, run):",
        "if False:",
    ),
    _rule(
        "an operator's word for another attempt is refused",
        "if said.attempt not in (None, record.attempt):",
        "if False:",
    ),
    _rule(
        "the timer of a next try goes with a node that an operator ends",
        "        return (DropTimer(waiting_timer(execution, node, before)),)\n",
        "        return ()\n",
    ),
    _rule(
        "what a worker noted goes with a node that an operator ends",
        "(ForgetStart(node, before.run, before.dispatch), AskWorkers(now))",
        "(AskWorkers(now),)",
    ),
    _rule(
        "workers are told of a node that an operator ends",
        "(ForgetStart(node, before.run, before.dispatch), AskWorkers(now))",
        "(ForgetStart(node, before.run, before.dispatch),)",
    ),
    _rule(
        "what is below a node that was ended ahead waits for what is above",
        "    if not plan.children[position] or not ends_of(plan, records, position).left:\n",
        "    if True:\n",
    ),
    _rule(
        "a failure by an operator is tolerated as the node's own",
        "            tolerated = tolerates(plan.policy(position), error)\n",
        "            tolerated = False\n",
    ),
    _rule(
        "an operator's word lets an orchestrator look at what follows",
        "run=control.run, node=node.id",
        "run=control.run + 1, node=node.id",
    ),
    _in(
        "a worker is told of its own node only",
        "store/worker_state",
        " or not is_awaited(record, task.dispatch, task.item)\n        ]",
        " or True\n        ]",
    ),
    _in(
        "what was ended ahead without rules is settled by a completion above it",
        "execution/rules/descent",
        "            elif record.unsettled:\n                self._settle(position, record)\n",
        "",
    ),
    _in(
        "what has not ended for others does not count for them",
        "execution/rules/readiness",
        '            if record.status != "failed":\n                continue\n',
        "",
    ),
    _in(
        "without rules too a join behind a skipped node is skipped",
        "engine/advancing/follow_up",
        "        completed.update(later)\n",
        "        completed.update(positions)\n",
    ),
    _in(
        "the start is told once, though an operator was before it",
        "engine/advancing/follow_up",
        "if untouched and may(",
        "if may(",
    ),
    _in(
        "an operator who is before the start tells of it",
        "engine/commands/overrule",
        "return opening(self._record) if begins else None",
        "return None",
    ),
    _in(
        "an operator who is beside the start lets it be decided anew",
        "execution/rules/steering/overruling",
        "(Happened(opening), Touch(control.status))",
        "(Happened(opening),)",
    ),
    _in(
        "a run that begins with a node's end tells of it",
        "execution/rules/starting",
        "        if said is not None:\n",
        "        if said is not None and False:\n",
    ),
    _in(
        "a run that begins with the end of an `end` is stopped",
        "execution/rules/starting",
        "        if stop is not None:\n            return mark(",
        "        if False and stop is not None:\n            return mark(",
    ),
    _in(
        "a failure with which a run begins counts",
        "execution/rules/starting",
        "stay = sorted([*rerun.reused(plan), *rerun.said])",
        "stay = rerun.reused(plan)",
    ),
    _in(
        "an operator's word for another run is refused after the end too",
        "engine/commands/overrule",
        "        if against is not None:\n            raise WrongStateError(against)\n        _refuse_over",
        "        _refuse_over",
    ),
    _in(
        "a result is stored beside the attempt that is kept",
        "store/committing/encode_changes",
        "*self._kept(change), *result))",
        "*self._kept(change)))",
    ),
    _in(
        "what is read beside and undecided is WATCHed before it is decided",
        "engine/advancing/follow_up",
        'if record.status != "pending" and not record.unsettled]',
        "if not record.unsettled]",
    ),
    _in(
        "a paused run that begins with its last end ends",
        "engine/advancing/orchestrator",
        "            if not control.lets_decide:\n",
        "            if not control.lets_dispatch:\n",
    ),
    _in(
        "the message of an operator's word counts in its own run",
        "engine/advancing/steps/overruled_step",
        "record.run == message.run and record.control.lets_decide",
        "record.control.lets_decide",
    ),
    _in(
        "an operator's result keeps to the limit of the execution",
        "engine/commands/overrule",
        "if size >= COUNTED_RESULT_BYTES and size > most",
        "if size > most",
    ),
)
