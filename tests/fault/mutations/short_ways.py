"""Conditions of the short ways: of plain starts and completions, and of what a start has read beforehand."""

from __future__ import annotations

from typing import Final

from tests.fault.mutations.mutant import RULES, Mutant

PLAIN: Final = ("tests/unit/execution/test_plain_steps.py",)
FOLLOW_UP: Final = ("tests/unit/engine/test_follow_up.py",)
START: Final = ("tests/unit/engine/test_orchestrator.py",)
STARTS: Final = ("tests/unit/execution/test_starting.py",)
DISPATCHING: Final = ("tests/unit/execution/test_dispatching.py",)
STOPPING: Final = ("tests/integration/engine/test_engine_stopping.py",)
BROAD: Final = (*RULES, *PLAIN)
POLICIES: Final = ("tests/unit/rules/test_own_failures.py", "tests/integration/engine/test_engine_groups.py")


def _plain(rule: str, old: str, new: str) -> Mutant:
    return Mutant(rule, "flowengine/execution/rules/plain_steps.py", old, new, PLAIN)


def _rules(rule: str, module: str, old: str, new: str, tests: tuple[str, ...] = BROAD) -> Mutant:
    return Mutant(rule, f"flowengine/execution/rules/{module}.py", old, new, tests)


def _engine(rule: str, module: str, old: str, new: str, tests: tuple[str, ...] = FOLLOW_UP) -> Mutant:
    return Mutant(rule, f"flowengine/engine/advancing/{module}.py", old, new, tests)


MUTANTS: Final = (
    # -- what is plain
    _plain("a plan with policies is not plain", "not plan.policies and control.status", "control.status"),
    _plain("only what runs is plain", ' and control.status == "running" and ', " and "),
    _plain("what is being stopped is not plain", " and control.stop is None", ""),
    _plain("only a completion is plain", "type(callback.outcome) is Completed\n        and ", ""),
    _plain("only a worker's report is plain", "        and type(callback.by) is ByDelivery\n", ""),
    _plain("only the end of a node in flight is plain", "        and is_in_flight(record.status)\n", ""),
    _plain("a plain completion is one of what goes on", "        and goes_on_plainly(plan, control)\n", ""),
    _rules(
        "what may put no node in flight is not plain",
        "finishing",
        "if dispatches and is_plain(",
        "if is_plain(",
    ),
    # -- plain completions
    _plain("a node below that was not read is not plain", "if nodes[child].id not in read:", "if False:"),
    _plain(
        "nodes below that do not fit are not plain",
        "if not fits(plan, below, sizes, bytes_left):",
        "if False:",
    ),
    _plain(
        "a node below that is skipped by its condition is not plain",
        "found = records(nodes[child].id)\n        if found.when is False or found.unsettled:",
        "found = records(nodes[child].id)\n        if found.unsettled:",
    ),
    _plain(
        "an unsettled node below is not plain",
        "found = records(nodes[child].id)\n        if found.when is False or found.unsettled:",
        "found = records(nodes[child].id)\n        if found.when is False:",
    ),
    _plain(
        "only a pending node below is put in flight plainly",
        'if may(found.status, "dispatch"):\n            changes += dispatch(plan, child,',
        "if True:\n            changes += dispatch(plan, child,",
    ),
    _plain(
        "a plain completion began after it was queued",
        "min(max(by.started_at, queued), now)",
        "min(by.started_at, now)",
    ),
    _plain(
        "a plain completion began by now",
        "min(max(by.started_at, queued), now)",
        "max(by.started_at, queued)",
    ),
    _plain(
        "a plain completion ended after it began",
        "min(max(callback.finished_at, started), now)",
        "min(callback.finished_at, now)",
    ),
    _plain(
        "a plain completion ended by now",
        "min(max(callback.finished_at, started), now)",
        "max(callback.finished_at, started)",
    ),
    _plain("a plain completion names its delivery", "        delivery=by.number,\n", ""),
    _plain("a plain completion counts what it stores", "bytes=counted - record.counted", "bytes=counted"),
    _plain(
        "a plain completion says where its result is from", "cached=outcome.cached or None", "cached=None"
    ),
    _plain("a plain completion takes back its start", "*forget, told, tally]", "told, tally]"),
    _plain(
        "a plain completion counts its joins down",
        "changes += [CountDown(name, completed=True)",
        "[CountDown(name, completed=True)",
    ),
    _plain("a plain completion says that it goes on", "            continues = True\n", ""),
    # -- plain starts
    _plain(
        "a start that is skipped by its condition is not plain",
        "found = records(plan.nodes[position].id)\n        if found.when is False or found.unsettled:",
        "found = records(plan.nodes[position].id)\n        if found.unsettled:",
    ),
    _plain(
        "a start of an unsettled node is not plain",
        "found = records(plan.nodes[position].id)\n        if found.when is False or found.unsettled:",
        "found = records(plan.nodes[position].id)\n        if found.when is False:",
    ),
    _plain(
        "only a pending node is started plainly",
        'if may(found.status, "dispatch"):\n            changes += dispatch(plan, position,',
        "if True:\n            changes += dispatch(plan, position,",
    ),
    _plain("a plain start says how much it sends", "            size += plan.weights[position]\n", ""),
    _engine(
        "only what goes on is started plainly",
        "follow_up",
        "if not goes_on_plainly(plan, control):",
        "if False:",
    ),
    _engine(
        "only after completions is something started plainly",
        "follow_up",
        "if completed is not EVERYTHING and not all(position in completed for position in positions):",
        "if False:",
    ),
    _engine(
        "of several looks at one execution none is plain",
        "follow_up",
        "if len(follows) == 1 and (plain :=",
        "if (plain :=",
    ),
    _engine("what a plain start sends is counted", "follow_up", "        self._bytes_left -= size\n", ""),
    _engine(
        "a plain start tells of the execution's start",
        "follow_up",
        "[*self._openings([follow]), *changes] if changes else changes",
        "changes",
        START,
    ),
    _engine(
        "many nodes are looked at in parts, of one execution too",
        "follow_up",
        "if len(follows) == 1 and len(follows[0].positions) == 1:",
        "if len(follows) == 1:",
    ),
    # -- what a start reads
    _engine(
        "executions that start together are all read",
        "follow_up",
        "if len(follows) == 1 and not ending and",
        "if follows and not ending and",
        START,
    ),
    _engine(
        "an execution that ends beside a start is read",
        "follow_up",
        "if len(follows) == 1 and not ending and",
        "if len(follows) == 1 and",
    ),
    _engine(
        "what depends on more than completions reads more",
        "follow_up",
        "and not ending and follows[0].completed is EVERYTHING:",
        "and not ending:",
    ),
    _engine(
        "what a start has read serves one try",
        "follow_up",
        "unit, opened = opened.unit, None",
        "unit = opened.unit",
        START,
    ),
    _rules(
        "a later run names no roots",
        "dispatching",
        "if run.run == 1 and len(plan.roots)",
        "if len(plan.roots)",
        STARTS,
    ),
    _rules("many roots are not named", "dispatching", " and len(plan.roots) <= TOLD_ROOTS:", ":", STARTS),
    _rules(
        "long roots are not named",
        "dispatching",
        "roots=roots if sum(map(len, roots)) <= TOLD_ROOTS_CHARS else (),",
        "roots=roots,",
        STARTS,
    ),
    Mutant(
        "what is read for a plan does not outlive the WATCH of a start",
        "flowengine/store/state.py",
        "        return unit, plans\n",
        "        return self._unit(reading, replies), plans\n",
        START,
    ),
    Mutant(
        "a start without a plan begins nothing",
        "flowengine/store/state.py",
        "plans[execution] = None if encoded is None else self._kept_plan(execution, encoded)",
        "plans[execution] = self._kept_plan(execution, encoded)",
        START,
    ),
    # -- what is made at once
    _rules(
        "a task with rules is not made at once",
        "dispatching",
        "if policy is PLAIN and record is UNTOUCHED:",
        "if record is UNTOUCHED:",
        POLICIES,
    ),
    _rules(
        "a task of a later run is not made at once",
        "dispatching",
        "if policy is PLAIN and record is UNTOUCHED:",
        "if policy is PLAIN:",
    ),
    _rules(
        "a task that has rules says them",
        "dispatching",
        "if policy is PLAIN and not unseen and lineage is None:",
        "if not unseen and lineage is None:",
        POLICIES,
    ),
    _rules(
        "a task below what had not ended says so",
        "dispatching",
        "if policy is PLAIN and not unseen and lineage is None:",
        "if policy is PLAIN and lineage is None:",
        DISPATCHING,
    ),
    _rules(
        "a task of a child says where it belongs",
        "dispatching",
        "if policy is PLAIN and not unseen and lineage is None:",
        "if policy is PLAIN and not unseen:",
        DISPATCHING,
    ),
    _rules(
        "a plain failure may stop the execution",
        "finishing",
        'if not plan.policies and record.status == "completed":',
        "if not plan.policies:",
        STOPPING,
    ),
    _rules(
        "a completed `end` stops the execution",
        "finishing",
        'if not plan.policies and record.status == "completed":',
        'if record.status == "completed":',
        STOPPING,
    ),
)
