"""Rules of the stages after the main nodes: which comes next, how it begins, and what stops it."""

from __future__ import annotations

from typing import Final

from tests.fault.mutations.mutant import Mutant

HOOKS: Final = ("tests/integration/engine/test_engine_hooks.py",)
DOCUMENTS: Final = ("tests/unit/workflow/test_hooks.py",)


def _in(rule: str, path: str, old: str, new: str, tests: tuple[str, ...] = HOOKS) -> Mutant:
    return Mutant(rule, f"flowengine/{path}.py", old, new, tests)


def _closing(rule: str, old: str, new: str) -> Mutant:
    return _in(rule, "execution/rules/closing", old, new)


WHAT_FOLLOWS: Final = (
    _closing(
        "outputs are computed of a completed execution only",
        'if control.stage == "main" and verdict == "completed" and',
        'if control.stage == "main" and',
    ),
    _closing(
        "hooks of failures run after a failure only",
        'verdict == "failed" and plan.stages.on_failure:',
        "plan.stages.on_failure:",
    ),
    _closing(
        "a stop of hooks ends all hooks",
        "if is_hook(control.stage) and control.stop is not None:",
        "if False:",
    ),
    _closing(
        "the mark of a stage goes when the next one begins",
        "        was_stopped=control.stop is not None,\n",
        "        was_stopped=False,\n",
    ),
    _closing(
        "hooks count their own nodes",
        "unfinished=len(plan.positions(stage)),",
        "unfinished=len(plan.positions(stage)) + 1,",
    ),
    _closing("joins of hooks have counters", "counters=_counters(plan, stage),", "counters={},"),
    _closing(
        "the time of a run is not that of its hooks",
        "if plan.overall.timeout_ms:\n            changes.append(DropTimer(RunTimeout",
        "if False:\n            changes.append(DropTimer(RunTimeout",
    ),
    _closing(
        "hooks have a time of their own",
        "changes.append(ArmTimer(timer, now + plan.stages.hooks_timeout_ms))",
        "del timer",
    ),
    _closing(
        "outputs that failed are the execution's error",
        "if output is not None:",
        "if False and output is not None:",
    ),
    _closing(
        "the error is that of the main nodes, whatever has stopped the hooks",
        "    if is_hook(control.stage):\n        return control.closing.ended_by\n",
        "",
    ),
    _in(
        "a failing hook changes no verdict",
        "execution/rules/concluding",
        "if control.closing is not None and is_hook(control.stage):",
        "if False and control.closing is not None:",
    ),
    _in(
        "failing hooks do not stop each other",
        "execution/rules/finishing",
        "    if position not in plan.main:\n        return None\n",
        "",
    ),
    _in(
        "a run's time stops no hook, and a cancel that comes again no clean-up",
        "execution/rules/stopping",
        "    if not _counts(control, stop):\n        return ()\n",
        "",
    ),
    _in(
        "hooks run though the execution is cancelling",
        "execution/records",
        'return self.closing is not None and self.status == "cancelling"',
        "return False",
    ),
)

WHAT_IS_CUT: Final = (
    _in(
        "who begins a stage acknowledges nothing yet",
        "engine/advancing/follow_up",
        "carried = None if look.goes_on or entered or later else acknowledge",
        "carried = None if look.goes_on or later else acknowledge",
    ),
    _in(
        "what is decided beside the end of a stage keeps it from nothing",
        "engine/advancing/follow_up",
        "ends = tuple(dict.fromkeys((*step.ending, *later)))",
        "ends = step.ending",
    ),
    _in(
        "a callback that comes again looks at the stage that has begun",
        "engine/advancing/callback_batch",
        "(plan.policies or plan.stages.count or",
        "(plan.policies or",
    ),
    _in(
        "the main nodes are followed up, and not concluded at once",
        "engine/advancing/callback_batch",
        "        if counts is None or plan.stages.count:\n",
        "        if counts is None:\n",
    ),
    _in(
        "the sweep counts the nodes of the stage",
        "engine/maintenance/sweep",
        "counted, counts = count_of(plan, records, stage), unit",
        'counted, counts = count_of(plan, records, "main"), unit',
    ),
    _in(
        "the sweep looks at the counters of the stage",
        "engine/maintenance/sweep",
        "for join in plan.positions(stage)\n",
        "for join in range(len(plan.nodes))\n",
    ),
)

AGAIN: Final = (
    _in(
        "hooks run again in each run",
        "execution/rules/starting",
        "if position in rerun.touched or position not in plan.main:",
        "if position in rerun.touched:",
    ),
    _in(
        "a run begins with its main nodes",
        "execution/rules/starting",
        "unfinished=len(reset),",
        "unfinished=len(writes),",
    ),
    _in(
        "a new run has not ended its main nodes",
        "execution/rules/starting",
        "was_closing=record.closing is not None,",
        "",
    ),
)

MUTANTS: Final = (*WHAT_FOLLOWS, *WHAT_IS_CUT, *AGAIN)
