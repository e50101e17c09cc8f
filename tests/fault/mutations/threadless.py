"""Rules of nodes that need no thread: where they stand, who begins and reports them, and how many at once."""

from __future__ import annotations

from typing import Final

from tests.fault.mutations.mutant import Mutant

NODES: Final = ("tests/unit/engine/test_async_nodes.py",)
LINE: Final = ("tests/integration/broker/test_broker_async_line.py",)
DISPATCH: Final = ("tests/integration/store/test_lines_beside.py",)
ENGINE: Final = ("tests/integration/engine/test_engine_async.py",)
HELD: Final = ("tests/unit/broker/test_broker_held_messages.py",)
SUSPECTS: Final = ("tests/unit/broker/test_broker_suspects.py",)
REPORTS: Final = ("tests/unit/engine/test_runner_reports.py",)
GROUPS: Final = ("tests/unit/engine/test_quick_group.py",)
STARTS: Final = ("tests/unit/engine/test_starts.py",)
WATCHDOG: Final = ("tests/unit/engine/test_watchdog.py",)


def _nodes(rule: str, module: str, old: str, new: str, tests: tuple[str, ...] = NODES) -> Mutant:
    return Mutant(rule, f"flowengine/engine/running/asynchronous/{module}.py", old, new, tests)


def _broker(rule: str, module: str, old: str, new: str, tests: tuple[str, ...]) -> Mutant:
    return Mutant(rule, f"flowengine/broker/{module}.py", old, new, tests)


def _dispatch(rule: str, old: str, new: str) -> Mutant:
    return Mutant(rule, "flowengine/store/lines_beside.py", old, new, DISPATCH)


MUTANTS: Final = (
    # -- where they stand
    _dispatch(
        "a queue that only workers of a version before serve gets them itself",
        "async_line(queue) if waits and self._is_served(async_line(queue), queue) else queue",
        "async_line(queue) if waits else queue",
    ),
    _dispatch(
        "before any worker has come they go to the line",
        "return not _alive(queue_rows) or bool(_alive(line_rows))",
        "return bool(_alive(line_rows))",
    ),
    _broker(
        "a worker enters the line before the queue",
        "consumer",
        "            self._group.sign(self._line_beside)\n",
        "",
        LINE,
    ),
    _broker(
        "what needs a thread leaves the line as it enters the queue",
        "set_aside/wrong_line",
        "    acknowledge(pipe, group.stream(delivery.line), [entry.id for entry in delivery.entries])\n",
        "",
        LINE,
    ),
    _broker(
        "what arrives as the process stops goes back",
        "async_consumer",
        "self._held.withdraw(self._ready, even_running=True)",
        "self._held.withdraw(self._ready)",
        LINE,
    ),
    # -- begun and reported
    _nodes(
        "the transaction that reports them settles their messages",
        "async_reporter",
        "self._runner.send(mine, acknowledge)",
        "self._runner.send(mine, lambda sink: None)",
        ENGINE,
    ),
    _nodes(
        "what a stop has handed back is not reported",
        "async_reporter",
        "if self._holding.is_handed_back(hand.held):",
        "if False:",
    ),
    _nodes(
        "what another process has by now is not reported",
        "async_reporter",
        "elif hand.held.is_lost:",
        "elif False:",
    ),
    _nodes(
        "one that cannot be written costs no other",
        "async_reporter",
        "if len(mine) > 1 and not known:",
        "if False:",
    ),
    _nodes("one that cannot begin keeps no other from it", "async_nodes", "if len(held) > 1:", "if False:"),
    _nodes(
        "a node ends once",
        "async_nodes",
        "first, node.is_over = not node.is_over, True",
        "first, node.is_over = True, True",
    ),
    _nodes(
        "what ignores the end of its time is let go of once that is reported",
        "async_nodes",
        "if node.hand.taken and self._is_first_to_end(node):",
        "if self._is_first_to_end(node):",
    ),
    # -- how many at once
    _nodes(
        "no more begins than memory allows", "async_nodes", "if self._holding.keeps_too_much():", "if False:"
    ),
    _broker(
        "what keeps much in memory leaves room for less",
        "held_messages",
        "if not room or not self._kept_bytes:",
        "if True:",
        HELD,
    ),
    _broker(
        "a suspect runs alone first",
        "leases/suspects",
        "        self._at_once = 1\n        self._last_at",
        "        self._at_once = 2\n        self._last_at",
        SUSPECTS,
    ),
    _broker(
        "a suspect that is not settled makes the next run alone",
        "leases/suspects",
        "if self._grows and entry.acknowledged else 1",
        "if self._grows else 1",
        SUSPECTS,
    ),
    _broker(
        "a suspect that is taken beside others does not count",
        "leases/recoverer",
        "return ([*chosen, *suspects], []) if alone else (chosen, suspects)",
        "return [*chosen, *suspects], []",
        LINE,
    ),
    # -- lost leases
    _broker(
        "an entry whose lease is lost says so",
        "held_messages",
        "entry.is_lost = True",
        "entry.is_lost = False",
        HELD,
    ),
    Mutant(
        "a node whose lease is lost is not reported by its thread",
        "flowengine/engine/running/runner.py",
        "if hand.held.is_lost:",
        "if False:",
        REPORTS,
    ),
    Mutant(
        "nodes whose leases are lost are not reported with their group",
        "flowengine/engine/running/quick_group.py",
        "if not pair[0].held.is_lost]",
        "if True]",
        GROUPS,
    ),
    Mutant(
        "a handler whose lease is lost is told to stop",
        "flowengine/worker/watchdog.py",
        "if hand.held.is_lost and not hand.cancellation.requested:",
        "if False:",
        WATCHDOG,
    ),
    Mutant(
        "nobody reports while starts are noted together",
        "flowengine/engine/running/task_in_hand.py",
        "        with self._guard:\n            if not self.may_lack_note:",
        "        if True:\n            if not self.may_lack_note:",
        STARTS,
    ),
)
