"""The rules of DESIGN sections 2 and 3, each with a change to the code that breaks it."""

from __future__ import annotations

from typing import Final

import msgspec

RULES: Final = ("tests/unit/test_rules_finish.py", "tests/unit/test_rules_runs.py")
ENGINE: Final = (
    "tests/integration/test_engine_callbacks.py",
    "tests/integration/test_engine_timers.py",
    "tests/integration/test_engine_sweep.py",
    "tests/integration/test_store_lifetimes.py",
    "tests/integration/test_store_connection.py",
    "tests/integration/test_store_triggers.py",
    "tests/integration/test_engine_crashes.py",
    "tests/property/test_execution_graphs.py",
    "tests/property/test_execution_machine.py",
)
BROKER: Final = (
    "tests/unit/test_broker_assembly.py",
    "tests/unit/test_broker_inflight.py",
    "tests/integration/test_broker_ownership.py",
    "tests/integration/test_broker_leases.py",
    "tests/integration/test_broker_engine_messages.py",
)


class Mutant(msgspec.Struct, frozen=True):
    """One rule, and how to break it: `old`, which occurs once in the file, becomes `new`."""

    rule: str
    path: str
    old: str
    new: str
    tests: tuple[str, ...] = ENGINE


def _rules(rule: str, old: str, new: str) -> Mutant:
    """A mutant of the pure rules."""
    return Mutant(rule, "flowengine/execution/rules.py", old, new, RULES + ENGINE)


def _in(path: str) -> str:
    return f"flowengine/{path}"


def _broker(rule: str, module: str, old: str, new: str) -> Mutant:
    """A mutant of the broker."""
    return Mutant(rule, f"flowengine/broker/{module}.py", old, new, BROKER)


MUTANTS: Final = (
    # -- finishing a node
    Mutant(
        "a batch decides on what its earlier decisions have changed",
        _in("engine/batch.py"),
        "        self._remember(execution, decision.changes)\n",
        "",
    ),
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
    Mutant(
        "an absent counter is never ready",
        _in("engine/batch.py"),
        "counters.get((execution, name)) == 0:",
        "not counters.get((execution, name)):",
    ),
    Mutant(
        "a join is ready only when its counter is 0",
        _in("engine/batch.py"),
        "if plan is not None and counters.get((execution, name)) == 0:",
        "if plan is not None:",
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
    # -- failing a node
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
    Mutant(
        "the cascade reads every node it marks under WATCH",
        _in("engine/batch.py"),
        "below: Sequence[int] = plan.descendants(position)",
        "below: Sequence[int] = ()",
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
    # -- dispatching
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
    Mutant(
        "in a later run a child is read before it is dispatched",
        _in("engine/batch.py"),
        "elif callback.run > 1 and not",
        "elif callback.run > 1_000_000 and not",
    ),
    Mutant(
        "only a pending node is dispatched",
        _in("engine/settling.py"),
        'if record.status == "pending" and key not in dispatched:',
        'if record.status != "completed" and key not in dispatched:',
    ),
    Mutant(
        "a node is dispatched once in a transaction",
        _in("engine/settling.py"),
        'if record.status == "pending" and key not in dispatched:',
        'if record.status == "pending":',
    ),
    Mutant(
        "a start counts in its own run only",
        _in("engine/orchestrator.py"),
        " or meta.run != message.run:",
        ":",
    ),
    Mutant(
        "a repeated callback of an earlier run changes nothing",
        _in("engine/settling.py"),
        "return meta is not None and meta.run != run.run",
        "return False",
    ),
    Mutant(
        "a batch speaks for the newest run in it",
        _in("engine/batch.py"),
        "if known is None or known.run < callback.run:",
        "if True:",
    ),
    # -- ending
    _rules(
        "an execution ends only when nothing is left",
        'if status != "running" or unfinished > 0:',
        'if status != "running":',
    ),
    _rules("an execution ends once", 'if status != "running" or unfinished > 0:', "if unfinished > 0:"),
    Mutant(
        "every key of an ended execution expires",
        _in("store/state.py"),
        '*(("EXPIREAT", name, at + META_LEAD_S) for name in (*rest, *names)),',
        '*(("EXPIREAT", name, at + META_LEAD_S) for name in rest),',
    ),
    Mutant(
        "meta expires before the rest",
        _in("store/state.py"),
        '*(("EXPIREAT", name, at + META_LEAD_S) for name in (*rest, *names)),',
        '*(("EXPIREAT", name, at) for name in (*rest, *names)),',
    ),
    Mutant(
        "an execution never triggered expires",
        _in("store/executions.py"),
        '                ("EXPIREAT", key, gone),\n',
        "",
    ),
    # -- triggering
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
        '        if record.status == "completed":\n            continue\n        unfinished',
        "        unfinished",
    ),
    _rules(
        "a retry counts the parents that have not completed",
        "counters[node.id] = waiting_for(plan, records, node.parents)",
        "counters[node.id] = len(node.parents)",
    ),
    Mutant(
        "a trigger WATCHes the execution",
        _in("store/executions.py"),
        "return run if unit.transact(commands) is not None else None",
        "return run if self._state.sessions.here().write(commands) is not None else None",
    ),
    Mutant(
        "a retry takes the expiry off nodes",
        _in("store/executions.py"),
        '        commands += [("PERSIST", keys.node(execution, name)) for name in touched]\n',
        "",
    ),
    Mutant(
        "a trigger takes the expiry off the execution",
        _in("store/executions.py"),
        "for name in (key, keys.plan(execution), keys.events(execution))]",
        "for name in (key,)]",
    ),
    Mutant(
        "a trigger clears what workers began before",
        _in("store/executions.py"),
        '("DEL", keys.deps(execution), keys.started(execution)),',
        '("DEL", keys.started(execution)),',
    ),
    Mutant(
        "a lost answer of a trigger is told from another's",
        _in("store/executions.py"),
        "return record.run if record is not None and record.token == token else None",
        "return None",
    ),
    # -- transactions
    Mutant(
        "nodes are WATCHed",
        _in("store/connection.py"),
        'head.append(("WATCH", *names))',
        'head.append(("TIME",))',
    ),
    Mutant(
        "a refused transaction is decided anew",
        _in("engine/settling.py"),
        "if unit.commit(changes, acknowledge) is not None:",
        "if unit.commit(changes, acknowledge) is not None or True:",
    ),
    Mutant(
        "nothing is written on a connection that lost its WATCH",
        _in("store/connection.py"),
        "if epoch != self.epoch or (watched and not self._connection.is_connected):",
        "if False:",
    ),
    Mutant(
        "what another unit left WATCHed refuses no write",
        _in("store/connection.py"),
        "        if self._watching:\n            self.unwatch()\n        replies = self.transact",
        "        replies = self.transact",
    ),
    Mutant(
        "a message is acknowledged in its last transaction, not before",
        _in("engine/orchestrator.py"),
        "early = _Acknowledge(receipt, tuple(step.complete)) if step.complete else None",
        "early = _Acknowledge(receipt)",
    ),
    Mutant(
        "only a callback that is applied to the end is acknowledged early",
        _in("engine/batch.py"),
        "done = decision.continues and not decision.joins and not decision.later",
        "done = decision.continues",
    ),
    Mutant(
        "a large step is acknowledged with its last part",
        _in("engine/settling.py"),
        "            self._transact(group, ending, None)\n",
        "            self._transact(group, ending, acknowledge)\n",
    ),
    Mutant(
        "a conflict takes a batch again",
        _in("engine/orchestrator.py"),
        "            if committed is not None:\n                receipt.confirm",
        "            if committed is None:\n                return True\n"
        "            if committed is not None:\n                receipt.confirm",
    ),
    # -- workers and timers
    Mutant(
        "a worker runs only what is still wanted",
        _in("engine/runner.py"),
        "        if start.wanted:\n",
        "        if True:\n",
    ),
    Mutant(
        "a late start is removed by who wrote it",
        _in("engine/runner.py"),
        "        hand.forget_start(self._store)\n",
        "",
    ),
    Mutant(
        "what somebody had before is noted before it runs",
        _in("engine/beginnings.py"),
        "return delivery == 1 and not task.reads",
        "return not task.reads",
        tests=("tests/unit/test_beginnings.py",),
    ),
    Mutant(
        "a start is not noted after its outcome",
        _in("engine/hand.py"),
        "            if not self._taken:\n                store.note_start",
        "            if True:\n                store.note_start",
        tests=("tests/unit/test_beginnings.py",),
    ),
    Mutant(
        "a start arms the deadline",
        _in("store/state.py"),
        '("ZADD", keys.TIMERS, due, timer.member()),',
        '("ZSCORE", keys.TIMERS, timer.member()),',
    ),
    Mutant(
        "a timer leaves in the transaction that sends its message",
        _in("store/timers.py"),
        "self._state.sessions.here().write(commands)",
        "self._state.sessions.here().call(commands)",
    ),
    _rules(
        "a timer whose time has moved waits",
        'return "fail" if due <= now else "wait"',
        'return "fail"',
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
    ),
    # -- the sweep
    Mutant(
        "the sweep corrects counters under WATCH",
        _in("engine/sweep.py"),
        "unit = self._store.begin([(execution, node.id) for node in plan.nodes])\n",
        "stored = self._store.read_nodes(execution, [node.id for node in plan.nodes])\n        "
        "unit = self._store.begin([])\n        "
        "unit.nodes = {(execution, name): record for name, record in stored.items()}\n",
    ),
    Mutant(
        "the sweep leaves alone what waits its turn",
        _in("engine/sweep.py"),
        "return oldest is not None and oldest <= max(moved, started_at) + CLOCK_MARGIN_MS",
        "return False",
    ),
    Mutant(
        "the sweep dispatches nothing whose callback may wait to be applied",
        _in("engine/sweep.py"),
        "elif self._has_no_callback(attempt, oldest[ORCHESTRATOR_QUEUE]):",
        "else:",
    ),
    Mutant(
        "the sweep dispatches what vanished as a new attempt",
        _in("engine/sweep.py"),
        "changes: list[Change] = [ForgetStart(name, record.run, record.attempt)]",
        "changes: list[Change] = []",
    ),
    # -- the broker
    _broker(
        "only the engine's own transaction acknowledges its messages",
        "consumer",
        """        elif delivery.engine:
            self._end(delivery)
        elif delivery.exception is not None:
            self._bury(delivery, "raised")
""",
        """        elif delivery.exception is not None:
            self._bury(delivery, "raised")
""",
    ),
    _broker(
        "a group begins with the first message",
        "group",
        'GROUP, b"0", b"MKSTREAM"',
        'GROUP, b"$", b"MKSTREAM"',
    ),
    _broker("a renewal counts no delivery", "group", '0, *ids, b"JUSTID")', "0, *ids)"),
    _broker(
        "only what is pending in its own name is renewed", "keeper", "kept = held & owned", "kept = held"
    ),
    _broker("only what is in memory is renewed", "keeper", "kept = held & owned", "kept = owned"),
    _broker(
        "only what has lapsed is taken over",
        "group",
        'b"XCLAIM", stream_key(queue), GROUP, self.consumer, self.lease_ms, *ids',
        'b"XCLAIM", stream_key(queue), GROUP, self.consumer, 0, *ids',
    ),
    _broker("what another has taken over is left to it", "group", "if entry_id in owned:", "if True:"),
    _broker(
        "a hand-back of what never began counts no delivery",
        "returns",
        "counts.update({entry.id: entry.deliveries - 1 for entry in delivery.unsettled})",
        "counts.update({entry.id: entry.deliveries for entry in delivery.unsettled})",
    ),
    _broker(
        "every taking over counts a delivery",
        "takeover",
        "counts = {lapsed.id: lapsed.deliveries + 1 for lapsed in chosen}",
        "counts = {lapsed.id: lapsed.deliveries for lapsed in chosen}",
    ),
    _broker(
        "one suspect at a time",
        "takeover",
        "may_suspect = self._in_flight.admit_suspect(self._queue)",
        "may_suspect = True",
    ),
    _broker(
        "what comes again comes alone",
        "assembly",
        "policy.may_join is not None or entry.deliveries > 1",
        "policy.may_join is not None",
    ),
    _broker(
        "a message that kills is buried with its callback",
        "dead_letters",
        'told = _last_words(entry, starts, policies) if reason == "exhausted" else None',
        "told = None",
    ),
    _broker(
        "the orchestrator's messages are never buried by count",
        "assembly",
        "return policy is not None and policy.on_dead is not None",
        "return policy is not None",
    ),
    _broker(
        "nothing is taken over for a lease after an error",
        "consumer",
        "        self._greeted = False\n        self._takeover.postpone()\n",
        "        self._greeted = False\n",
    ),
    _broker(
        "nothing is taken over for a lease after a server start",
        "consumer",
        "if uptime_s < lease_s:",
        "if False:",
    ),
    _broker(
        "fetching stops first",
        "broker",
        "        self.in_flight.stop()\n",
        "",
    ),
    _broker(
        "a removed consumer's messages are kept",
        "group",
        "        for row in rows:\n",
        "        for row in rows[:0]:\n",
    ),
)
