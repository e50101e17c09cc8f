"""Rules of the pure core about what follows from an end: trigger rules, skips, failures, other tries."""

from __future__ import annotations

from typing import Final

from tests.fault.mutations.mutant import DECIDING, RULES, Mutant

RULED, DESCENDED, RESET, TRIED = DECIDING
RULED_TESTS: Final = (RULED, DESCENDED, *RULES)
DESCENT_TESTS: Final = (DESCENDED, RULED, *RULES)
RESET_TESTS: Final = (RESET, RULED, *RULES)
TRIED_TESTS: Final = (TRIED, DESCENDED, *RULES)
"""What is nearest to the rule goes first."""
CONDITION_TESTS: Final = ("tests/unit/engine/test_runner_conditions.py",)
PLANS: Final = ("tests/unit/workflow/test_plan.py",)
MESSAGES: Final = ("tests/unit/execution/test_messages.py",)


def _rule(rule: str, old: str, new: str) -> Mutant:
    return Mutant(rule, "flowengine/execution/rules/trigger_rules.py", old, new, RULED_TESTS)


def _descent(rule: str, old: str, new: str) -> Mutant:
    return Mutant(rule, "flowengine/execution/rules/descent.py", old, new, DESCENT_TESTS)


def _failing(rule: str, old: str, new: str) -> Mutant:
    return Mutant(rule, "flowengine/execution/rules/failing.py", old, new, TRIED_TESTS)


def _runner(rule: str, old: str, new: str, module: str = "runner") -> Mutant:
    return Mutant(rule, f"flowengine/engine/running/{module}.py", old, new, CONDITION_TESTS)


def _dispatching(rule: str, old: str, new: str) -> Mutant:
    return Mutant(rule, "flowengine/execution/rules/dispatching.py", old, new, TRIED_TESTS)


def _starting(rule: str, old: str, new: str) -> Mutant:
    return Mutant(rule, "flowengine/execution/rules/starting.py", old, new, RESET_TESTS)


def _rerunning(rule: str, old: str, new: str) -> Mutant:
    return Mutant(rule, "flowengine/execution/rules/steering/rerunning.py", old, new, RESET_TESTS)


def _finishing(rule: str, old: str, new: str) -> Mutant:
    return Mutant(rule, "flowengine/execution/rules/finishing.py", old, new, TRIED_TESTS)


TRIGGER_RULES: Final = (
    _rule("all_success fails at once", 'if rule == "all_success" and ends.failed:', "if False:"),
    _rule("one_success runs at once", 'if rule == "one_success" and ends.completed:', "if False:"),
    _rule("all others wait for every end", "return None if ends.left else", "return None if False else"),
    _rule("a cancelled dependency meets no rule", "    if ends.cancelled:\n", "    if False:\n"),
    _rule(
        "all_success is skipped with what it depends on",
        '"skip" if ends.skipped else "run"',
        '"run"',
    ),
    _rule(
        "none_failed_min_one_success asks for one that ran",
        'return "fail" if ends.failed else "run" if ends.ran else "skip"',
        'return "fail" if ends.failed else "run"',
    ),
    _rule(
        "all_done_min_one_success fails where nothing ran and something failed",
        'return "run" if ends.ran else "fail" if ends.failed else "skip"',
        'return "run" if ends.ran else "skip"',
    ),
    _rule(
        "one_success fails where all that failed is tolerated",
        '"fail" if ends.failed or ends.tolerated else "skip"',
        '"fail" if ends.failed else "skip"',
    ),
    _rule(
        "one_success asks for a completion",
        '"run" if ends.completed else "fail"',
        '"run" if ends.ran else "fail"',
    ),
    _rule(
        "all_failed asks for nothing else",
        "if ends.failed and not ends.ran and not ends.skipped",
        "if ends.failed and not ends.ran",
    ),
    _rule(
        "one_failed runs after a failure only",
        '"run" if ends.failed else "skip"\n\n\ndef _all_failed',
        '"run"\n\n\ndef _all_failed',
    ),
    _rule(
        "rules are asked after completions too",
        'return "run" if rule == "all_success" else _WHEN_ALL_HAVE_ENDED[rule](Ends(completed=parents))',
        'return "run"',
    ),
    Mutant(
        "a failure at once is no end before it is settled",
        "flowengine/execution/rules/readiness.py",
        "return is_final(record.status) and not record.unsettled",
        "return is_final(record.status)",
        RULED_TESTS,
    ),
    Mutant(
        "a tolerated failure is not counted",
        "flowengine/execution/rules/readiness.py",
        'failed=sum(record.status == "failed" and not record.tolerated for record in found)',
        'failed=sum(record.status == "failed" for record in found)',
        RULED_TESTS,
    ),
)

DESCENT: Final = (
    _descent(
        "only a pending node is decided about below an end",
        '        elif may(record.status, "dispatch"):\n            found',
        "        else:\n            found",
    ),
    _descent(
        "only a pending node is dispatched below an end",
        '            if may(record.status, "dispatch"):\n                self._begin',
        "            if True:\n                self._begin",
    ),
    _descent(
        "what forbids dispatching holds back what could run",
        "        if not grounds.dispatches:\n            return\n",
        "",
    ),
    _descent(
        "the cascade stops at nodes that are not pending",
        '        if not may(record.status, "inherit_failure"):\n            return\n',
        "",
    ),
    _descent(
        "a failure goes down to the last node",
        "        self._written[position] = record\n        self._ended.append((position, cause))\n",
        "        self._written[position] = record\n",
    ),
    _descent(
        "a failure names the node that failed first",
        "        self._ended.append((position, cause))\n",
        "        self._ended.append((position, position))\n",
    ),
    _descent(
        "a tolerated failure goes no further",
        "and not record.tolerated\n        if failed:",
        "\n        if failed:",
    ),
    _descent(
        "a failure goes at once to all_success nodes only",
        'if self._plan.trigger_rules[child] == "all_success":\n                    self._fail_at_once',
        "if True:\n                    self._fail_at_once",
    ),
    _descent(
        "what fails at once below a join waits to be settled",
        "waits = node.is_join or parent.unsettled",
        "waits = False",
    ),
    _descent(
        "what is below a failure that is not settled is not settled",
        "waits = node.is_join or parent.unsettled",
        "waits = node.is_join",
    ),
    _descent(
        "what nobody waits for is settled at once",
        "unsettled=waits and self._plan.settles[child])",
        "unsettled=waits)",
    ),
    _descent(
        "a failure at once moves no counter before it is settled",
        "        if record.unsettled:\n            return\n        completed",
        "        completed",
    ),
    _descent(
        "a settled failure counts as an end below",
        "[position].id, record))\n        self.end(position, record)\n",
        "[position].id, record))\n",
    ),
    _descent(
        "a skip counts down its joins",
        "        self.unfinished -= 1\n        self.end(position, record)\n",
        "        self.unfinished -= 1\n",
    ),
    _descent(
        "a skip is subtracted from what is unfinished",
        "        self.unfinished -= 1\n        self.end(position, record)\n",
        "        self.end(position, record)\n",
    ),
    _descent(
        "an inherited failure is subtracted from what is unfinished",
        "        self.unfinished -= 1\n        self.failed += 1\n",
        "        self.failed += 1\n",
    ),
    _descent(
        "an inherited failure is counted as failed",
        "        self.unfinished -= 1\n        self.failed += 1\n",
        "        self.unfinished -= 1\n",
    ),
    _descent(
        "a node that ended otherwise tells its joins so",
        "CountDown(self._plan.nodes[child].id, completed=completed)",
        "CountDown(self._plan.nodes[child].id, completed=True)",
    ),
    _descent(
        "each end counts down its joins",
        "            self.changes.append(CountDown(self._plan.nodes[child].id, completed=completed))\n",
        "",
    ),
    _descent(
        "a skip by a condition known at the trigger needs no task",
        "        if record.when is False:\n",
        "        if False:\n",
    ),
    _descent(
        "a node sees what ended in the transaction that dispatches it",
        "not_ended(plan, position, self._by_name)",
        "not_ended(plan, position, grounds.records)",
    ),
    _descent(
        "a node that begins early stores what it cannot see",
        "not_ended(plan, position, self._by_name) if plan.begins_early[position] else ()",
        "()",
    ),
    _descent(
        "what is found below is dispatched only if it was read",
        "not all(map(self._is_ready_to_start, found)) or not fits(",
        "not fits(",
    ),
    _descent(
        "what is found below is dispatched only if it fits",
        "        if not all(map(self._is_ready_to_start, found)) or not fits(\n"
        "            self._plan, found, self._grounds.sizes, self._bytes_left\n        ):\n",
        "        if not all(map(self._is_ready_to_start, found)):\n",
    ),
    _descent(
        "what was not read is asked for",
        "            self.unread[position] = None\n",
        "",
    ),
    _descent(
        "a cause is named where all that failed are tolerated",
        "for parent in counting or failed:",
        "for parent in counting:",
    ),
    _descent(
        "a failure that counts is named before a tolerated one",
        "for parent in counting or failed:",
        "for parent in failed:",
    ),
    _descent(
        "a skip keeps its reason",
        '"upstream_skipped" if rule == "all_success" else "trigger_rule"',
        '"trigger_rule"',
    ),
)

FAILING: Final = (
    _failing(
        "no more tries than max_attempts",
        "retry is None or record.tried >= retry.max_attempts or",
        "retry is None or record.tried > retry.max_attempts or",
    ),
    _failing(
        "what is permanent is not tried again",
        "    return not is_permanent(failed)\n",
        "    return True\n",
    ),
    _failing(
        "a status decides before the code and the handler",
        "        return status not in WORTH_ANOTHER_TRY\n",
        "        pass\n",
    ),
    _failing("what a handler calls permanent is", "if failed.permanent:", "if False:"),
    _failing(
        "except is stronger than only",
        "    if is_among(failed.error, retry.exclude):\n        return False\n",
        "",
    ),
    _failing(
        "only: [all] tries what is permanent again",
        "return ANY_CODE in retry.only or is_among(",
        "return is_among(",
    ),
    _failing("a pause grows", "        pause *= retry.multiplier\n", "        pass\n"),
    _failing(
        "a pause is no longer than max_delay_seconds",
        "    pause = min(pause, retry.max_delay_ms)\n",
        "",
    ),
    _failing("jitter goes both ways", "/ 0xFFFF_FFFF * 2 - 1", "/ 0xFFFF_FFFF"),
    _failing("the pause of each try has its own jitter", "|{callback.dispatch}", ""),
    _failing(
        "a service is waited for as long as it asks",
        "        pause_ms = max(pause_ms, failed.retry_after_ms)\n",
        "        pause_ms = max(pause_ms, min(failed.retry_after_ms, retry.max_delay_ms))\n",
    ),
    _failing(
        "a service does not shorten a pause",
        "        pause_ms = max(pause_ms, failed.retry_after_ms)\n",
        "        pause_ms = failed.retry_after_ms\n",
    ),
    _failing(
        "no try begins later than max_seconds after the first",
        "if now + pause_ms > record.since + retry.max_ms:",
        "if False:",
    ),
    _failing(
        "max_seconds counts from the first try",
        "if now + pause_ms > record.since + retry.max_ms:",
        "if now + pause_ms > now + retry.max_ms:",
    ),
    _failing(
        "a list of codes tolerates these only",
        "    return is_among(error, policy.tolerates)\n",
        "    return bool(policy.tolerates)\n",
    ),
    _failing(
        "timeout means a request's too",
        "(code == TIMEOUT.code and error.code == REQUEST_TIMEOUT.code)",
        "False",
    ),
    _failing("http_5xx goes by the status", "return status // 100 == int(found[1])", "return True"),
    _failing("http_404 goes by the status", "status == int(found[1])", "True"),
)

TRIES: Final = (
    _finishing(
        "a node is tried again no sooner than its pause is over",
        "        ArmTimer(timer, pause.until),\n",
        "        ArmTimer(timer, now),\n",
    ),
    _finishing(
        "a tolerated failure takes nothing from the execution",
        "failed=0 if tolerated else 1",
        "failed=1",
    ),
    _finishing(
        "a repetition in a plan with policies looks at everything again",
        "if plan.policies or callback.run > 1 or not counts_as_success(record.status):",
        "if not counts_as_success(record.status):",
    ),
    _failing(
        "why a node is not tried again is said",
        'message=f"{failed.error.message}; not tried again: {why}"',
        "message=failed.error.message",
    ),
    _failing("a condition may forbid another try", "if failed.again is False:", "if False:"),
    _failing(
        "a condition without an answer is told",
        "    if isinstance(failed.again, NodeError):\n        return failed.again\n",
        "",
    ),
    _dispatching(
        "each try is counted",
        "tried=record.tried + (step not in _SAME_TRY) if retries else 0",
        "tried=1 if retries else 0",
    ),
    _dispatching(
        "a message that is sent again is no other try",
        "tried=record.tried + (step not in _SAME_TRY) if retries else 0",
        "tried=record.tried + 1 if retries else 0",
    ),
    _dispatching(
        "the first try's time is kept",
        "since=record.since or (now if retries else 0)",
        "since=now if retries else 0",
    ),
    _dispatching(
        "a condition is evaluated before the first try only",
        "return policy.when if queued.tried <= 1 and queued.when is None else None",
        "return policy.when if queued.when is None else None",
    ),
    _dispatching(
        "a message that is sent again sees what the first one saw",
        '"dispatch_again", record.attempt, record.unseen)',
        '"dispatch_again", record.attempt, ())',
    ),
    _dispatching(
        "another try sees what the first one saw",
        '"try_again", record.attempt + 1, record.unseen)',
        '"try_again", record.attempt + 1, ())',
    ),
    _dispatching(
        "a task reads nothing that it cannot see",
        "for at in task.reads if at not in unseen]",
        "for at in task.reads]",
    ),
    _dispatching(
        "a handler does not try again what the engine does",
        "tries_once=policy.retry is not None",
        "tries_once=False",
    ),
)

RESETS: Final = (
    _rerunning(
        "a trigger resets all that is below what it resets",
        "(not touched.isdisjoint(parents) and not _stays(plan, records, position, touched, wanted))",
        "False",
    ),
    _rerunning(
        "a completed one_success stays while a success of it stays",
        "not touched.isdisjoint(parents) and not _stays(plan, records, position, touched, wanted)",
        "not touched.isdisjoint(parents)",
    ),
    _rerunning(
        "a one_success stays only if a success of it stays",
        "        parent not in touched and counts_as_success(",
        "        counts_as_success(",
    ),
    _rerunning(
        "a tolerated failure stays",
        'wanted.mode == "failed" and is_failure(record)',
        'wanted.mode == "failed" and record.status == "failed"',
    ),
    _starting(
        "a join that stays keeps a counter if a parent of it is reset",
        "(position in reset or not reset.isdisjoint(node.parents))",
        "position in reset",
    ),
    _starting(
        "the bytes of results that go are freed",
        "freeing = [Tally(bytes=-freed)] if freed else []",
        "freeing: list[Change] = []",
    ),
    _starting(
        "the result of what is reset goes",
        "return Write(node, pending, anew=has_result, kept=kept)",
        "return Write(node, pending, kept=kept)",
    ),
)

FORMATS: Final = (
    Mutant(
        "a plan without policies is stored as it always was",
        "flowengine/workflow/plan.py",
        "    elif plan.policies:\n",
        "    else:\n",
        PLANS,
    ),
    Mutant(
        "a plan with policies is no plan of format 2",
        "flowengine/workflow/plan.py",
        "FORMAT if len(said) > _CORE_FIELDS else CORE_FORMAT",
        "CORE_FORMAT",
        PLANS,
    ),
    Mutant(
        "a task that uses something new is no message of format 2",
        "flowengine/execution/messages.py",
        "CORE_FORMAT if _is_of_the_core(task) else FORMAT",
        "CORE_FORMAT",
        MESSAGES,
    ),
    Mutant(
        "a report that uses something new is no message of format 2",
        "flowengine/execution/messages.py",
        "Failed(permanent=False, retry_after_ms=None, again=None, outputs=None)\n",
        "Failed()\n",
        MESSAGES,
    ),
)

ATTEMPTS: Final = (
    _finishing(
        "an attempt is kept before another follows",
        "anew=_keeps_response(report.before), kept=attempt_of(record))",
        "anew=_keeps_response(report.before))",
    ),
    _finishing(
        "an answered failure asks for something else the next time",
        "answered=before.answered + answered,",
        "answered=before.answered,",
    ),
    _finishing(
        "a failure whose outcome is unknown keeps the moment",
        "moment = None if answered else first_sent(before)",
        "moment = None",
    ),
    _failing(
        "a code may leave unknown what became of a try",
        "return error.code not in _OUTCOME_UNKNOWN and error.status_code",
        "return error.status_code",
    ),
    _failing(
        "a status may leave unknown what became of a try",
        "return error.code not in _OUTCOME_UNKNOWN and error.status_code not in _STATUS_UNKNOWN",
        "return error.code not in _OUTCOME_UNKNOWN",
    ),
    _starting(
        "a run in which a node was not tried keeps no attempt of it",
        "if before.finished_at and before.queued_at else None",
        "if before.finished_at and before.attempt else None",
    ),
    _dispatching(
        "a dispatch carries the number of the idempotency key on",
        "        answered=record.answered,\n",
        "",
    ),
)

CONDITIONS: Final = (
    Mutant(
        "a text is neither true nor false",
        "flowengine/engine/running/rendering/conditions.py",
        "    if value is None or isinstance(value, bool):\n        return bool(value)\n",
        "    if True:\n        return bool(value)\n",
        CONDITION_TESTS,
    ),
    _runner(
        "an output that does not match its schema fails the node",
        "        if task.output_schema is not None:\n"
        "            refuse_misfits(task.output_schema.encode(), result, call.handler.primary)\n",
        "",
        module="outcomes",
    ),
    _runner(
        "a report says what the condition for another try gives",
        "        if task.retry_when is None:\n            return failed\n",
        "        return failed\n",
    ),
    _runner(
        "a node whose condition is false is not run",
        'if task.when is not None and not holds("when", task.when, scope, self._limits.max_rendered_chars):',
        "if False:",
        module="outcomes",
    ),
    _runner(
        "what had not ended at the dispatch is undefined",
        "        unseen=task.unseen,\n",
        "",
        module="rendering/node_scope",
    ),
)

MUTANTS: Final = (
    *TRIGGER_RULES,
    *DESCENT,
    *FAILING,
    *TRIES,
    *RESETS,
    *FORMATS,
    *ATTEMPTS,
    *CONDITIONS,
)
