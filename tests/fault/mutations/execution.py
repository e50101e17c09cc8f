"""Rules of the pure core: what a report means, who may be dispatched, when an execution ends."""

from __future__ import annotations

from typing import Final

from tests.fault.mutations.mutant import ENGINE, GRAPHS, RULES, WORKER, Mutant

EVERYTHING: Final = RULES + ENGINE
STATUSES: Final = "tests/unit/execution/test_status.py"


def _finishing(rule: str, old: str, new: str, tests: tuple[str, ...] = EVERYTHING) -> Mutant:
    return Mutant(rule, "flowengine/execution/rules/finishing.py", old, new, tests)


def _dispatching(rule: str, old: str, new: str, tests: tuple[str, ...] = EVERYTHING) -> Mutant:
    return Mutant(rule, "flowengine/execution/rules/dispatching.py", old, new, tests)


def _readiness(rule: str, old: str, new: str) -> Mutant:
    return Mutant(rule, "flowengine/execution/rules/readiness.py", old, new, EVERYTHING)


def _concluding(rule: str, old: str, new: str) -> Mutant:
    return Mutant(rule, "flowengine/execution/rules/concluding.py", old, new, EVERYTHING)


def _starting(rule: str, old: str, new: str) -> Mutant:
    return Mutant(rule, "flowengine/execution/rules/starting.py", old, new, EVERYTHING)


def _records(rule: str, old: str, new: str) -> Mutant:
    return Mutant(rule, "flowengine/execution/records.py", old, new, EVERYTHING)


def _deadlines(rule: str, old: str, new: str) -> Mutant:
    return Mutant(rule, "flowengine/execution/rules/deadlines.py", old, new, EVERYTHING)


FINISHING: Final = (
    _finishing(
        "a completion counts once",
        "    if is_final(record.status):\n        verdict",
        '    if record.status == "failed":\n        verdict',
    ),
    _finishing(
        "a report of another dispatch does nothing",
        "    if record.dispatch != callback.dispatch:\n",
        "    if False:\n",
    ),
    _finishing(
        "the dispatch number is compared and not the attempt",
        "    if record.dispatch != callback.dispatch:\n",
        "    if record.attempt != callback.attempt:\n",
    ),
    _finishing(
        "a report of a node that was reset does nothing",
        'is_final(record.status) or may(record.status, "complete")',
        "True",
    ),
    _finishing(
        "a report of an ended execution's node is stale",
        '    if not takes_reports(control.status):\n        return Decision("stale", forget)\n',
        "",
    ),
    _finishing(
        "a repetition looks at the joins again",
        "joins = tuple([plan.nodes[child].id for child in plan.joins_below[position]])",
        "joins = ()",
    ),
    _finishing(
        "a repetition looks at the children put off again",
        "return Decision(verdict, forget, joins, plan.only_children[position], again=True)",
        "return Decision(verdict, forget, joins, (), again=True)",
    ),
    _finishing(
        "a repeated failure may still have to end the execution",
        "return Decision(verdict, forget, again=True)",
        "return Decision(verdict, forget)",
    ),
    _finishing(
        "an accepted report takes back its worker's start and timer",
        "told = (*report.forget, _happened(",
        "told = (_happened(",
    ),
    _finishing(
        "a late report takes back its worker's start and timer",
        "return Decision(verdict, forget, joins, plan.only_children[position], again=True)",
        "return Decision(verdict, (), joins, plan.only_children[position], again=True)",
    ),
    Mutant(
        "who reports in place of a worker takes its start back",
        "flowengine/execution/reports.py",
        "return reporter.noted if isinstance(reporter, ByDelivery) else not",
        "return reporter.noted if isinstance(reporter, ByDelivery) else False and",
        EVERYTHING,
    ),
    Mutant(
        "a start that was never noted is not taken back",
        "flowengine/execution/reports.py",
        "return reporter.noted if isinstance(reporter, ByDelivery) else not",
        "return True",
        EVERYTHING,
    ),
    # -- limits
    Mutant(
        "large results count towards their execution's limit",
        "flowengine/execution/records.py",
        "return size if size >= COUNTED_RESULT_BYTES else 0",
        "return 0",
        WORKER,
    ),
    Mutant(
        "small results do not count",
        "flowengine/execution/records.py",
        "return size if size >= COUNTED_RESULT_BYTES else 0",
        "return size",
        WORKER,
    ),
)

DISPATCHING: Final = (
    _dispatching(
        "every try raises the attempt",
        '"dispatch", record.attempt + 1, unseen)',
        '"dispatch", 1, unseen)',
    ),
    _dispatching(
        "every dispatch raises the dispatch number",
        "dispatch=record.dispatch + 1,",
        "dispatch=1,",
    ),
    _dispatching(
        "a vanished message is sent again with a higher dispatch number",
        "dispatch=record.dispatch + 1,",
        'dispatch=record.dispatch + (step == "dispatch"),',
    ),
    _dispatching(
        "a vanished message is sent again with the same attempt",
        '"dispatch_again", record.attempt, record.unseen)',
        '"dispatch_again", record.attempt + 1, record.unseen)',
    ),
    _dispatching(
        "a task that is sent again keeps its moment",
        "moment=first_sent(record) if step in _SAME_TRY else record.moment,",
        "moment=record.moment,",
        RULES,
    ),
    _dispatching(
        "a try with the same idempotency key keeps its moment",
        "moment=first_sent(record) if step in _SAME_TRY else record.moment,",
        "moment=first_sent(record) if step in _SAME_TRY else None,",
        RULES,
    ),
    _dispatching(
        "what a vanished message has begun is taken back",
        "return (forget, *again)",
        "return again",
    ),
    _dispatching(
        "a node runs in the run that its record names", "        run=queued.run,\n", "        run=run.run,\n"
    ),
    _dispatching(
        "a dispatched node keeps its run",
        "        queued_at=now,\n        run=record.run,\n",
        "        queued_at=now,\n",
    ),
    # -- large steps
    _dispatching(
        "a transaction sends no more bytes of tasks than are left",
        "size <= sizes.chunk_bytes and size <= bytes_left",
        "size <= sizes.chunk_bytes",
        GRAPHS,
    ),
    _dispatching(
        "children of more than 1 MiB are put off",
        "size <= sizes.chunk_bytes and size <= bytes_left",
        "size <= bytes_left",
        GRAPHS,
    ),
    _dispatching(
        "no part of a step is larger than 1 MiB",
        "(len(group) >= sizes.chunk_nodes or size + weight > sizes.chunk_bytes)",
        "len(group) >= sizes.chunk_nodes",
        GRAPHS,
    ),
)

READINESS: Final = (
    _readiness(
        "only a pending node is decided about",
        '    if may(record.status, "dispatch"):\n        return ruling(',
        "    if True:\n        return ruling(",
    ),
    _readiness(
        "an absent counter tells nothing",
        "return counter is not None and counter % NOT_COMPLETED == 0",
        "return (counter or 0) % NOT_COMPLETED == 0",
    ),
    _readiness(
        "a join is due only when all that it depends on has ended",
        "return counter is not None and counter % NOT_COMPLETED == 0",
        "return counter is not None",
    ),
    _readiness(
        "a join is due however its dependencies have ended",
        "return counter is not None and counter % NOT_COMPLETED == 0",
        "return counter == 0",
    ),
    _readiness(
        "a join's counter tells a parent that ended otherwise",
        "return -1 if completed else NOT_COMPLETED - 1",
        "return -1",
    ),
    _readiness(
        "a counter made of records tells a parent that ended otherwise",
        "            total += NOT_COMPLETED\n",
        "            total += 0\n",
    ),
    _readiness(
        "counts made of records count what has failed",
        'failed=sum(record.status == "failed" and not record.tolerated for record in found)',
        "failed=0",
    ),
)

CONCLUDING: Final = (
    _concluding(
        "an execution ends only when nothing is left",
        "if counts.unfinished != 0 or not _may_end(control, verdict):",
        "if not _may_end(control, verdict):",
    ),
    _concluding(
        "a conclusion needs exactly 0 unfinished",
        "if counts.unfinished != 0 or not _may_end(control, verdict):",
        "if counts.unfinished > 0 or not _may_end(control, verdict):",
    ),
    _concluding(
        "an execution ends once",
        "if counts.unfinished != 0 or not _may_end(control, verdict):",
        "if counts.unfinished != 0:",
    ),
    _concluding(
        "an execution has failed if anything has",
        '"failed" if counts.failed else "completed"',
        '"failed" if counts.failed > 1 else "completed"',
    ),
    _concluding(
        "no execution ends before it has begun",
        "at = max(now, control.started_at or 0)",
        "at = now",
    ),
)

STARTING: Final = (
    _records(
        "a retry keeps the attempts",
        "        attempt=record.attempt,\n        dispatch=record.dispatch,\n",
        "        dispatch=record.dispatch,\n",
    ),
    _records(
        "a retry keeps the dispatch numbers",
        "        attempt=record.attempt,\n        dispatch=record.dispatch,\n",
        "        attempt=record.attempt,\n",
    ),
    _starting(
        "a retry names its run",
        "        run=run,\n        when=None,\n",
        "        when=None,\n",
    ),
    Mutant(
        "a condition that the first trigger has decided is decided anew in the next run",
        "flowengine/execution/rules/starting.py",
        "        run=run,\n        when=None,\n",
        "        run=run,\n",
        tests=("tests/integration/engine/test_engine_inputs.py",),
    ),
    _starting(
        "a completed node that is reset asks anew",
        "        answered=before.answered + completed,\n",
        "        answered=before.answered,\n",
    ),
    _starting(
        "a completed node that is reset has a new moment",
        "moment=None if completed else before.moment,",
        "moment=before.moment,",
    ),
    _starting(
        "a retry leaves alone what it does not reset",
        "        if position in rerun.touched or position not in plan.main:\n",
        "        if True:\n",
    ),
    _starting(
        "a retry counts the parents that have not completed",
        "node.id: counter_of(plan, lookup, position)",
        "node.id: len(node.parents)",
    ),
    _starting(
        "events that begin anew tell what has completed before",
        "            happened.append(Happened(_ended_before(node.id, before, now)))\n",
        "            pass\n",
    ),
)

DEADLINES: Final = (
    _deadlines(
        "a timer whose time has moved waits",
        'return due <= now and state in ("held", "lost")',
        'return state in ("held", "lost")',
    ),
    _deadlines(
        "a node that only waits to be delivered is not overdue",
        'return due <= now and state in ("held", "lost")',
        "return due <= now",
    ),
    _deadlines(
        "a timer concerns its own dispatch",
        "return is_in_flight(record.status) and record.dispatch == dispatch",
        "return is_in_flight(record.status)",
    ),
    _deadlines(
        "a start is wanted by its dispatch number and not by its attempt",
        "return is_in_flight(record.status) and record.dispatch == dispatch",
        "return is_in_flight(record.status) and record.attempt == dispatch",
    ),
)

MUTANTS: Final = (
    *FINISHING,
    *DISPATCHING,
    *READINESS,
    *CONCLUDING,
    *STARTING,
    *DEADLINES,
    Mutant(
        "plans of another version are refused",
        "flowengine/workflow/plan.py",
        "    if stored.format not in READABLE:\n",
        "    if False:\n",
        ("tests/unit/workflow/test_plan.py",),
    ),
    Mutant(
        "a step that the table does not have is a defect",
        "flowengine/execution/status.py",
        "        raise IllegalStepError(f\"a node that is {status} has no step '{step}'\")\n",
        "        return status\n",
        (STATUSES, *RULES),
    ),
    Mutant(
        "only a running execution is dispatched from",
        "flowengine/execution/status.py",
        '    return status == "running"\n',
        '    return status in ("running", "paused")\n',
        (STATUSES, *RULES),
    ),
)
