"""Rules of who gets a message: lines for unknown handlers, and queues that an execution has of its own."""

from __future__ import annotations

from typing import Final

from tests.fault.mutations.mutant import Mutant

LINES: Final = ("tests/integration/broker/test_broker_handler_lines.py",)
SERVED: Final = ("tests/integration/broker/test_broker_own_queues.py",)
HANDED_OVER: Final = ("tests/integration/store/test_own_queues.py",)
LAPSED: Final = ("tests/unit/engine/test_lapsed_runs.py",)
UNKNOWN: Final = ("tests/unit/engine/test_unknown_handler.py",)
SWEEP: Final = ("tests/unit/engine/test_sweep.py",)
HEALTH: Final = ("tests/integration/store/test_store_health.py",)


def _line(rule: str, module: str, old: str, new: str) -> Mutant:
    return Mutant(rule, f"flowengine/broker/{module}.py", old, new, LINES)


def _own(rule: str, module: str, old: str, new: str) -> Mutant:
    return Mutant(rule, f"flowengine/store/{module}.py", old, new, HANDED_OVER)


def _lapsed(rule: str, old: str, new: str) -> Mutant:
    return Mutant(rule, "flowengine/engine/maintenance/lapsed_runs.py", old, new, LAPSED)


MUTANTS: Final = (
    # -- lines for unknown handlers
    Mutant(
        "a task whose handler is not known here is passed on",
        "flowengine/engine/running/runner.py",
        "if self._passes_on and self.outcomes.handler(held.payload.handler) is None:",
        "if False:",
        UNKNOWN,
    ),
    _line(
        "passing on is one transaction",
        "set_aside/handler_lines",
        "pipe = group.client.pipeline(transaction=True)",
        "pipe = group.client.pipeline(transaction=False)",
    ),
    _line(
        "only who knows a handler reads its line",
        "set_aside/handler_lines",
        "known = tuple(handler for handler in found if self._known.knows(handler))",
        "known = tuple(found)",
    ),
    _line(
        "who knows a handler says so", "set_aside/handler_lines", "        if known:\n", "        if False:\n"
    ),
    _line(
        "a handler is given up after the time of the setting",
        "set_aside/handler_lines",
        "max(int(known.patience_s * 1000), group.lease_ms)",
        "group.lease_ms",
    ),
    _line(
        "a handler that becomes known meanwhile is not given up",
        "set_aside/handler_lines",
        "pipe.watch(self._index(queue), stream)",
        "pipe.watch(stream)",
    ),
    _line(
        "a line is removed only while it is empty",
        "set_aside/handler_lines",
        "pipe.watch(stream)",
        'pipe.watch("another")',
    ),
    _line(
        "the leases of tasks from lines are kept",
        "leases/lease_keeper",
        "[*queues, *self._held.lines()]",
        "queues",
    ),
    _line(
        "what is handed back goes to its line",
        "leases/hand_back",
        "counts = by_line.setdefault(delivery.line, {})",
        "counts = by_line.setdefault(delivery.queue, {})",
    ),
    _line(
        "a task that kills leaves its line with its burial",
        "consumer",
        'bury(self._group, self._beside_queue, entry, "exhausted", policies, line=line)',
        'bury(self._group, self._beside_queue, entry, "exhausted", policies)',
    ),
    _line(
        "what a dead worker held of a line is taken over",
        "set_aside/line_reader",
        "return recoverer.take(most)",
        "return []",
    ),
    Mutant(
        "a deadline looks for its task in the line where it stands",
        "flowengine/store/task_states.py",
        "key = names.stream(line[0] if line else queue)",
        "key = names.stream(queue)",
        LINES,
    ),
    Mutant(
        "a task that waits for its handler has not vanished",
        "flowengine/engine/maintenance/sweep.py",
        "if name not in gone or waits_beside:",
        "if name not in gone:",
        SWEEP,
    ),
    Mutant(
        "a handler that is known is not missing",
        "flowengine/store/health.py",
        'names.handlers(queue), "-inf", before, "BYSCORE"',
        'names.handlers(queue), "-inf", "+inf", "BYSCORE"',
        HEALTH,
    ),
    # -- queues that an execution has of its own
    Mutant(
        "the lease of an own queue begins before there is one",
        "flowengine/broker/consumer.py",
        "        self._broker.keep_own(self._queue)\n",
        "",
        SERVED,
    ),
    Mutant(
        "the lease of an own queue is kept",
        "flowengine/broker/broker.py",
        "            self.keep_own(queue)\n",
        "",
        SERVED,
    ),
    _own(
        "one process that lives keeps all of a run's queues",
        "maintenance/own_queues",
        "max(last.get(owner, until), until)",
        "min(last.get(owner, until), until)",
    ),
    _own(
        "of two processes one hands a message over",
        "maintenance/own_queues",
        "self._sessions.retrying_watch([source], [read])",
        "self._sessions.retrying_watch([], [read])",
    ),
    _own(
        "a message enters a common queue as it leaves its own",
        "maintenance/own_queues",
        "if session.transact(moving(found), session.epoch) is None:",
        "session.unwatch()\n            if session.call(moving(found)) is None:",
    ),
    _own(
        "own queues are forgotten only while they are empty",
        "maintenance/own_queues",
        "if unless_left and any(lengths):",
        "if False:",
    ),
    _own(
        "nothing is handed over of what has ended",
        "maintenance/own_queues",
        "if record is not None and not is_over(record.status):",
        "if record is not None:",
    ),
    _own(
        "timers are handed over",
        "maintenance/own_queues",
        "                self._move_scored(own.timers(kind), self._common.timers(kind))\n",
        "                pass\n",
    ),
    _own(
        "an execution's timers are its own",
        "keys",
        "timers:{owned(kind, self.owner)}",
        "timers:{kind}",
    ),
    _own(
        "the common sweep leaves alone what has queues of its own",
        "maintenance/sweep_reads",
        "if member not in odd and member not in others",
        "if member not in odd",
    ),
    _own(
        "an execution's own sweep looks at nothing else",
        "maintenance/sweep_reads",
        "            return self._own_execution()\n",
        "            pass\n",
    ),
    _own(
        "a message that was moved is older than its id says",
        "maintenance/sweep_reads",
        "return 0 if moved is not None and first <= moved + MOVED_MARGIN_MS else first",
        "return first",
    ),
    _lapsed(
        "nothing is handed over for a lease after a start",
        "if self._clock() < self._hold_until:",
        "if False:",
    ),
    _lapsed(
        "nothing is handed over for a lease after an outage",
        "            self.hold()\n            raise\n",
        "            raise\n",
    ),
    _lapsed(
        "nothing is handed over for a lease after a standstill",
        "if self._clock() - asked > self._hold_s * STANDSTILL_SHARE:",
        "if False:",
    ),
)
