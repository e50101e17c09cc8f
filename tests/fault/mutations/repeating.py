"""Rules of nodes that repeat: what follows an iteration, what is kept, and where another run goes on."""

from __future__ import annotations

from typing import Final

from tests.fault.mutations.mutant import Mutant

RULES: Final = ("tests/unit/rules/test_repeating.py",)
REPEATS: Final = ("tests/integration/repeating/test_engine_repeats.py",)
GROUPS: Final = ("tests/integration/repeating/test_engine_group_repeats.py",)


def _rule(rule: str, old: str, new: str) -> Mutant:
    return Mutant(rule, "flowengine/execution/rules/repeating.py", old, new, RULES)


def _engine(rule: str, path: str, old: str, new: str) -> Mutant:
    return Mutant(rule, f"flowengine/{path}.py", old, new, REPEATS)


def _group(rule: str, path: str, old: str, new: str) -> Mutant:
    return Mutant(rule, f"flowengine/{path}.py", old, new, GROUPS)


MUTANTS: Final = (
    _group(
        "what an iteration gave goes with the failure that an operator says",
        "execution/rules/steering/overruling",
        "            ended = redone(_ended(before, now))\n",
        "            ended = _ended(before, now)\n",
    ),
    Mutant(
        "an answer picks the iteration of the nearest loop",
        "flowengine/engine/commands/answering/addressing.py",
        "    elif policy.repeat is not None:\n        loop = Loop(",
        "    elif policy.repeat is not None and loop is None:\n        loop = Loop(",
        ("tests/integration/waits/test_engine_addresses.py",),
    ),
    _group(
        "each iteration of a group is another child",
        "execution/rules/repeating",
        "        child=None,\n",
        "",
    ),
    _group(
        "what a child gave before a stop is judged in the next run",
        "execution/rules/finishing",
        "    if not report.control.lets_decide:\n        record = cancelled(record, grounds.now)\n",
        "    if not report.control.lets_decide:\n        record = cancelled(repeating.redone(record), 1)\n",
    ),
    _group(
        "while an execution is paused nothing is judged",
        "execution/rules/finishing",
        "if counted else ()\n    if not report.control.lets_dispatch:\n",
        "if counted else ()\n    if False:\n",
    ),
    _group(
        "an iteration whose condition has failed is done again",
        "execution/rules/finishing",
        "    ended = replace(repeating.redone(ended), counted=ended.counted - freed)\n",
        "    ended = replace(ended, counted=ended.counted - freed)\n",
    ),
    _group(
        "what a child gave goes once it is judged",
        "execution/rules/finishing",
        "    return holds_response(before) or awaits_judgement(before)\n",
        "    return holds_response(before)\n",
    ),
    _group(
        "what is left of an iteration goes when its node begins anew",
        "execution/rules/repeating",
        "    if not policy.repeat.keeps and not record.repeated.given:\n",
        "    if not policy.repeat.keeps:\n",
    ),
    _group(
        "a group that goes on after its last iteration makes another child",
        "execution/rules/starting",
        "        child=before.child if goes_on and not has_exhausted(before) else None,\n",
        "        child=before.child if goes_on else None,\n",
    ),
    _group(
        "what judges an iteration is the same attempt",
        "execution/rules/dispatching",
        "attempt = record.attempt if first or awaits_judgement(record) else record.attempt + 1",
        "attempt = record.attempt if first else record.attempt + 1",
    ),
    _group(
        "a wait before the first iteration comes before its child",
        "execution/rules/dispatching",
        "        return False  # The wait before its first iteration is to be rendered.\n",
        "        pass\n",
    ),
    _group(
        "a group inside reads the iteration of the nearest one around",
        "engine/advancing/steps/child_making",
        "            lineage = replace(lineage, iteration=above.iteration)\n",
        "            pass\n",
    ),
    _rule(
        "the tries of an iteration are counted by themselves",
        "        tried=0,\n",
        "",
    ),
    _rule(
        "the next iteration has a moment of its own",
        "        moment=None,\n        child=None,\n    )\n    if is_delayed",
        "        child=None,\n    )\n    if is_delayed",
    ),
    _rule(
        "the wait before the first iteration comes once",
        "and not repeated.delayed and not repeated.ended",
        "and not repeated.ended",
    ),
    _rule(
        "a node that goes on has its iterations anew",
        "repeated.ended + 1 - repeated.before >= most",
        "repeated.ended + 1 >= most",
    ),
    _rule(
        "a pause counts towards the time limit",
        "now + pause_ms > repeated.since + max_ms",
        "now > repeated.since + max_ms",
    ),
    _rule(
        "a condition is decided once a run",
        "when=True if policy.when is not None else None,",
        "when=None,",
    ),
    _engine(
        "a paused execution begins no iteration",
        "execution/rules/finishing",
        "if again.pause_ms or limited or not report.control.lets_dispatch:",
        "if again.pause_ms or limited:",
    ),
    _engine(
        "a report during a stop ends the node",
        "execution/rules/finishing",
        "    if not report.control.lets_decide:\n        return _cancel(report, record",
        "    if False:\n        return _cancel(report, record",
    ),
    _engine(
        "nothing is kept of the iterations of a node that has completed",
        "execution/rules/finishing",
        "        told += repeating.forget(policy, report.callback.node, report.before)\n",
        "        told += ()\n",
    ),
    _engine(
        "nothing is kept of the iterations of a node that an operator has ended",
        "execution/rules/steering/overruling",
        '*(() if record.status == "failed" else forget(plan.policy(position), node.id, before)),\n',
        "\n",
    ),
    _engine(
        "what is kept counts until the node completes",
        "execution/rules/finishing",
        "tally = Tally(unfinished=-1, bytes=counted - before.counted)",
        "tally = Tally(unfinished=-1, bytes=counted)",
    ),
    _engine(
        "a node goes on where all that it reads stays",
        "execution/rules/steering/rerunning",
        'record.status in ("failed", "cancelled") and not any(at in touched for at in above)',
        'record.status in ("failed", "cancelled")',
    ),
    _engine(
        "only what has failed goes on",
        "execution/rules/steering/rerunning",
        'wanted.mode != "failed" or wanted.readers or (record.repeated',
        "(record.repeated",
    ),
    _engine(
        "each iteration has an idempotency key of its own",
        "engine/running/rendering/node_scope",
        "{task.answered + 1}.{task.repeated.number}-",
        "{task.answered + 1}-",
    ),
    _engine(
        "a list is deleted with its execution",
        "store/committing/removal",
        "[names.collected(execution, node) for node in plan.collecting]",
        "[]",
    ),
    _engine(
        "a list expires with its execution",
        "store/committing/encode_changes",
        "            names += self._collected(execution, plan)\n",
        "",
    ),
    _engine(
        "a list stays while its execution runs again",
        "store/committing/encode_changes",
        "            names += self._collected(execution, self._lifetimes.plan(execution))\n",
        "",
    ),
    _engine(
        "a node that waits for its next iteration goes on with that",
        "execution/rules/dispatching",
        "    if awaits_iteration(record):\n        return iterate(plan, position, record, run, now)\n",
        "",
    ),
)
