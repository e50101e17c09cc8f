"""Rules of stopping an execution: the mark, what is ended and by whom, the verdict, the run after it."""

from __future__ import annotations

from typing import Final

from tests.fault.mutations.mutant import Mutant

STOPPING: Final = (
    "tests/integration/engine/test_engine_stopping.py",
    "tests/integration/engine/test_engine_stop_races.py",
)


def _in(rule: str, path: str, old: str, new: str, tests: tuple[str, ...] = STOPPING) -> Mutant:
    return Mutant(rule, f"flowengine/{path}.py", old, new, tests)


def _stopping(rule: str, old: str, new: str) -> Mutant:
    return _in(rule, "execution/rules/stopping", old, new)


def _finishing(rule: str, old: str, new: str) -> Mutant:
    return _in(rule, "execution/rules/finishing", old, new)


def _rerunning(rule: str, old: str, new: str) -> Mutant:
    return _in(rule, "execution/rules/steering/rerunning", old, new)


def _step(rule: str, old: str, new: str) -> Mutant:
    return _in(rule, "engine/advancing/steps/stop_step", old, new)


THE_MARK: Final = (
    _in(
        "nothing is decided once an execution is marked",
        "execution/records",
        "return self.stop is None and (lets_decide(",
        "return bool(lets_decide(",
    ),
    _in(
        "no node is put in flight once an execution is marked",
        "execution/records",
        "return self.stop is None and (lets_dispatch(",
        "return bool(lets_dispatch(",
    ),
    _in(
        "no other try begins once an execution is marked",
        "engine/advancing/steps/next_try",
        "            if not control.lets_dispatch:\n",
        "            if False:\n",
    ),
    _stopping(
        "the mark comes with a message that ends the nodes",
        "    return (\n        MarkStop(status, stop, control.run),\n",
        "    return (MarkStop(status, stop, control.run),)\n"
        "    return (\n        MarkStop(status, stop, control.run),\n",
    ),
    _stopping(
        "the first mark counts",
        "    if known is not None:\n",
        "    if False:\n",
    ),
    _stopping(
        "an `end` outdoes the mark of a failure or of a timeout",
        'if stop.cause == "end" and known.cause in ("node_failure", "timeout"):',
        "if False:",
    ),
    _stopping(
        "an `end` outdoes no cancel and no other `end`",
        'if stop.cause == "end" and known.cause in ("node_failure", "timeout"):',
        'if stop.cause == "end":',
    ),
    _stopping(
        "the events tell of a stop once",
        "    if stop is None or stop.told:\n",
        "    if stop is None:\n",
    ),
    _in(
        "the events tell who has cancelled",
        "execution/rules/stopping",
        "by=stop.by, explanation",
        "by=None, explanation",
        ("tests/integration/engine/test_engine_history.py",),
    ),
    _step(
        "the events tell of the start before they tell of a stop",
        "first = opening(record) if unopened else None",
        "first = None",
    ),
    _step(
        "the events tell of the start once, though it is stopped",
        "            and not any(found.dispatch",
        "            or any(found.dispatch",
    ),
    _step(
        "the events tell of the start once, though nothing was dispatched",
        "found.dispatch or is_final(found.status)",
        "found.dispatch",
    ),
    _step(
        "the time of a run stops no other run",
        "if execution is None or control is None or control.run != timer.run or is_over(control.status):",
        "if execution is None or control is None or is_over(control.status):",
    ),
)

ENDS: Final = (
    _finishing(
        "what sets the mark decides nothing more",
        "decides = control.lets_decide and stop is None",
        "decides = control.lets_decide",
    ),
    _in(
        "what follows in one batch goes by the mark that it sets",
        "engine/advancing/callback_batch",
        "self._controls[execution] = marked",
        "del marked",
    ),
    _finishing(
        "an `end` that fails otherwise ends nothing",
        "record.error is not None and record.error.code == ENDED.code",
        "record.error is not None",
    ),
    _finishing(
        "a tolerated failure stops nothing",
        'failed = record.status == "failed" and not record.tolerated',
        'failed = record.status == "failed"',
    ),
    _stopping(
        "a failure that no worker reports stops an execution too",
        "if descent.first_failed is None or not grounds.plan.overall.stops_on_failure:",
        "if True:",
    ),
    _finishing(
        "nothing is dispatched beside a failure that no worker reports",
        "        descent = _descent(position, written, replace(grounds, dispatches=False))\n",
        "        pass\n",
    ),
    _in(
        "nothing is dispatched beside a failure that follows",
        "engine/advancing/follow_up",
        "                dispatches = False\n                continue\n",
        "                continue\n",
    ),
)

NODES: Final = (
    _finishing(
        "no other try is waited for during a stop",
        "again = next_try(policy, before, callback, failed, report.grounds.now) if decides else None",
        "again = next_try(policy, before, callback, failed, report.grounds.now)",
    ),
    _finishing(
        "a node whose worker stopped for a lost mark is sent again",
        "_send_again(report) if control.stop is None else _cancel(report)",
        "_cancel(report)",
    ),
    _stopping(
        "an `end` skips what is pending",
        'if stop.cause == "end" and record.status == "pending":',
        "if False:",
    ),
    _stopping(
        "the timer of a pause goes with the node that waits",
        "        dropped.append(DropTimer(waiting_timer(execution, node, record)))\n",
        "        pass\n",
    ),
    _stopping(
        "what somebody has begun is taken back when it is ended",
        "        dropped.append(ForgetStart(node, record.run, record.dispatch))\n",
        "        pass\n",
    ),
    _step(
        "a node that a worker has begun is left to it",
        "begun = (execution, name, record.dispatch) in unit.begun",
        "begun = False",
    ),
    _step(
        "a worker has its time to stop",
        "stays = late_ms < 0 or name in (settled or ()) or runs_as_children(record)",
        "stays = name in (settled or ()) or runs_as_children(record)",
    ),
    _step(
        "a worker has no more than its time to stop",
        "stays = late_ms < 0 or name in (settled or ()) or runs_as_children(record)",
        "stays = True",
    ),
    _step(
        "an outcome that is on its way is waited for",
        "stays = late_ms < 0 or name in (settled or ()) or runs_as_children(record)",
        "stays = late_ms < 0 or runs_as_children(record)",
    ),
    _step(
        "an outcome that is on its way is waited for no longer than a lease",
        "if settled is None and starts and 0 <= late_ms < self._lease_ms:",
        "if settled is None and starts and 0 <= late_ms:",
    ),
    _step(
        "what does not stop by itself has a timer",
        "if ended or is_last or",
        "if True or",
    ),
    _in(
        "reports count while an execution is being cancelled",
        "execution/status",
        'return status in ("running", "paused", "cancelling")',
        'return status in ("running", "paused")',
    ),
    _in(
        "the sweep finishes a stop",
        "engine/maintenance/sweep",
        "            self._stops.carry_out(plan, execution, record, None)\n",
        "            pass\n",
    ),
)

WORKERS: Final = (
    _in(
        "a worker begins nothing of an execution that is being stopped",
        "engine/running/runner",
        "Cancelled() if start.stopping else self.outcome_of(hand, start)",
        "self.outcome_of(hand, start)",
    ),
    _in(
        "a group begins nothing of an execution that is being stopped",
        "engine/running/quick_group",
        "if start.wanted and not start.stopping]",
        "if start.wanted]",
    ),
    _in(
        "a worker asks for the mark after it has noted its start",
        "store/worker_state",
        "if control is None or control.stop is not None or not takes_reports(control.status):",
        "if control is None or not takes_reports(control.status):",
    ),
    _in(
        "a quick task of a stopped execution asks before it begins",
        "engine/running/starts",
        " or self._is_stopping(task.execution)",
        "",
    ),
    _in(
        "a failure after a request to stop is a cancelled node",
        "engine/running/runner",
        "            if hand.cancellation.requested and isinstance(outcome, Failed | Waiting):\n",
        "            if False:\n",
    ),
    _in(
        "a completion after a request to stop is kept",
        "engine/running/runner",
        "            if hand.cancellation.requested and isinstance(outcome, Failed | Waiting):\n",
        "            if hand.cancellation.requested:\n",
    ),
    _in(
        "a worker is told of the run that is being stopped only",
        "engine/running/stop_notices",
        "            if id(hand.task) in unwanted:\n",
        "            if True:\n",
        ("tests/unit/engine/test_stop_notices.py",),
    ),
)

VERDICTS: Final = (
    _in(
        "the verdict of a stop comes before that of the nodes",
        "execution/rules/concluding",
        "    if control.stop is not None:\n",
        "    if control.stop is not None and not counts.failed:\n",
    ),
    _in(
        "the timer of a run goes with its end",
        "store/committing/encode_changes",
        "            self._disarm(RunTimeout(execution=execution, run=change.run))\n",
        "            pass\n",
    ),
    _in(
        "the timer of a stop goes with the end of the run",
        "store/committing/encode_changes",
        "            self._disarm(StopOverdue(execution=execution, run=change.run))\n",
        "            pass\n",
    ),
    _in(
        "a new run bears no mark",
        "store/committing/encode_changes",
        "if change.was_stopped or change.was_closing:",
        "if change.was_closing:",
    ),
    _in(
        "a run in which nothing is left to do ends",
        "engine/advancing/orchestrator",
        "                ending.append(run)\n            else:\n",
        "                pass\n            else:\n",
    ),
    _rerunning(
        "a trigger resets what was cancelled",
        'record.status in ("pending", "cancelled") or',
        'record.status == "pending" or',
    ),
    _rerunning(
        "a trigger resets what an `end` skipped",
        ' or record.skipped == "ended_early"',
        "",
    ),
    _rerunning(
        "a trigger resets each `end`",
        "if plan.policy(position).ends or record.unsettled:",
        "if record.unsettled:",
    ),
)

MUTANTS: Final = (*THE_MARK, *ENDS, *NODES, *WORKERS, *VERDICTS)
