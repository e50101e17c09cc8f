"""Rules of the pure core: what a callback means, who may be dispatched, when an execution ends."""

from __future__ import annotations

from typing import Final

from tests.fault.mutations.mutant import ENGINE, GRAPHS, RULES, WORKER, Mutant


def _rules(rule: str, old: str, new: str, tests: tuple[str, ...] = RULES + ENGINE) -> Mutant:
    return Mutant(rule, "flowengine/execution/rules.py", old, new, tests)


MUTANTS: Final = (
    _rules(
        "a completion counts once",
        '    if record.status != "queued":\n        verdict',
        '    if record.status == "failed":\n        verdict',
    ),
    _rules(
        "a report of another attempt does nothing",
        'if record.attempt != callback.attempt or record.status == "pending":',
        'if record.status == "pending":',
    ),
    _rules(
        "a report of a node that was reset does nothing",
        'if record.attempt != callback.attempt or record.status == "pending":',
        "if record.attempt != callback.attempt:",
    ),
    _rules(
        "a repetition looks at the joins again",
        "joins, later = joins_of(plan, position), single_of(plan, position)",
        "joins, later = (), single_of(plan, position)",
    ),
    _rules(
        "a repetition looks at the children put off again",
        "joins, later = joins_of(plan, position), single_of(plan, position)",
        "joins, later = joins_of(plan, position), ()",
    ),
    _rules(
        "a repeated failure may still have to end the execution",
        "return Decision(verdict, (forget,), again=True)",
        "return Decision(verdict, (forget,))",
    ),
    _rules(
        "an accepted report takes back its worker's start and timer",
        "        Write(callback.node, record, result),\n"
        "        ForgetStart(callback.node, callback.run, callback.attempt),\n",
        "        Write(callback.node, record, result),\n",
    ),
    _rules(
        "a late report takes back its worker's start and timer",
        "return Decision(verdict, (forget,), joins, later, again=True)",
        "return Decision(verdict, (), joins, later, again=True)",
    ),
    _rules(
        "the cascade stops at what has failed",
        '        if before.status != "pending":\n            continue\n        marked',
        '        if before.status == "completed":\n            continue\n        marked',
    ),
    _rules(
        "the cascade subtracts exactly what it marked",
        "Tally(unfinished=-marked, failed=marked)",
        "Tally(unfinished=-1, failed=marked)",
    ),
    _rules(
        "what fails by inheritance keeps its attempts",
        'status="failed", attempt=before.attempt, finished_at',
        'status="failed", finished_at',
    ),
    _rules(
        "every change of a node is an event",
        "return (Write(name, failed), Happened(event))",
        "return (Write(name, failed),)",
    ),
    _rules("every dispatch raises the attempt", "attempt = record.attempt + 1", "attempt = 1"),
    _rules(
        "a node runs in the run that its record names", "        run=record.run,\n", "        run=run.run,\n"
    ),
    _rules(
        "a dispatched node keeps its run",
        "queued_at=now, run=record.run)",
        "queued_at=now)",
    ),
    _rules(
        "only a node whose parents have all completed is ready",
        "        and all(\n",
        "        and any(\n",
    ),
    _rules(
        "an execution ends only when nothing is left",
        'if status != "running" or unfinished > 0:',
        'if status != "running":',
    ),
    _rules("an execution ends once", 'if status != "running" or unfinished > 0:', "if unfinished > 0:"),
    _rules(
        "a retry keeps the attempts", "NodeRecord(attempt=record.attempt, run=run)", "NodeRecord(run=run)"
    ),
    _rules(
        "a retry names its run",
        "NodeRecord(attempt=record.attempt, run=run)",
        "NodeRecord(attempt=record.attempt)",
    ),
    _rules(
        "a retry leaves completed nodes alone",
        "            continue\n        unfinished += 1",
        "        unfinished += 1",
    ),
    _rules(
        "a retry counts the parents that have not completed",
        "counters[node.id] = waiting_for(plan, records, node.parents)",
        "counters[node.id] = len(node.parents)",
    ),
    _rules(
        "a timer whose time has moved waits",
        'return due <= now and standing in ("held", "lost")',
        'return standing in ("held", "lost")',
    ),
    _rules(
        "a timer concerns its own attempt",
        'return record.status == "queued" and record.attempt == attempt',
        'return record.status == "queued"',
    ),
    _rules(
        "a node that only waits to be delivered is not overdue",
        'return due <= now and standing in ("held", "lost")',
        "return due <= now",
    ),
    _rules(
        "a transaction sends no more tasks than it has room for",
        "size <= min(CHUNK_BYTES, room)",
        "size <= CHUNK_BYTES",
        GRAPHS,
    ),
    # -- large steps
    _rules(
        "children of more than 1 MiB are put off",
        "size <= min(CHUNK_BYTES, room)",
        "size <= room",
        GRAPHS,
    ),
    _rules(
        "no part of a step is larger than 1 MiB",
        "(len(group) >= CHUNK_NODES or size + weight > CHUNK_BYTES)",
        "len(group) >= CHUNK_NODES",
        GRAPHS,
    ),
    # -- limits
    _rules(
        "large results count towards their execution's limit",
        "counted = len(result) if len(result) >= COUNTED_RESULT_BYTES else 0",
        "counted = 0",
        WORKER,
    ),
    _rules(
        "small results do not count",
        "counted = len(result) if len(result) >= COUNTED_RESULT_BYTES else 0",
        "counted = len(result)",
        WORKER,
    ),
)
