"""Rules of the store: what is one transaction, what is WATCHed, what expires."""

from __future__ import annotations

from typing import Final

from tests.fault.mutations.mutant import ADMISSION, WORKER, Mutant


def _in(module: str) -> str:
    return f"flowengine/store/{module}.py"


MUTANTS: Final = (
    Mutant(
        "every key of an ended execution expires",
        _in("state"),
        '*(("EXPIREAT", name, at + META_LEAD_S) for name in (*rest, *names)),',
        '*(("EXPIREAT", name, at + META_LEAD_S) for name in rest),',
    ),
    Mutant(
        "meta expires before the rest",
        _in("state"),
        '*(("EXPIREAT", name, at + META_LEAD_S) for name in (*rest, *names)),',
        '*(("EXPIREAT", name, at) for name in (*rest, *names)),',
    ),
    Mutant(
        "an execution never triggered expires",
        _in("executions"),
        '                ("EXPIREAT", key, gone),\n',
        "",
    ),
    Mutant(
        "a trigger WATCHes the execution",
        _in("executions"),
        "return run if unit.transact(commands) is not None else None",
        "return run if self._state.sessions.here().write(commands) is not None else None",
    ),
    Mutant(
        "a retry takes the expiry off nodes",
        _in("executions"),
        '        commands += [("PERSIST", keys.node(execution, name)) for name in touched]\n',
        "",
    ),
    Mutant(
        "a trigger takes the expiry off the execution",
        _in("executions"),
        "for name in (key, keys.plan(execution), keys.events(execution))]",
        "for name in (key,)]",
    ),
    Mutant(
        "a trigger clears what workers began before",
        _in("executions"),
        '("DEL", keys.deps(execution), keys.started(execution)),',
        '("DEL", keys.started(execution)),',
    ),
    Mutant(
        "a lost answer of a trigger is told from another's",
        _in("executions"),
        "return record.run if record is not None and record.token == token else None",
        "return None",
    ),
    Mutant(
        "nodes are WATCHed",
        _in("connection/sessions"),
        'head.append(("WATCH", *names))',
        'head.append(("TIME",))',
    ),
    Mutant(
        "what is read ahead is WATCHed",
        _in("connection/sessions"),
        'return [("WATCH", *ahead.names), *ahead.reads]',
        'return [("TIME",), *ahead.reads]',
    ),
    Mutant(
        "what may be out of date is read anew by who might do nothing",
        _in("state"),
        "if commits and not self.clock.is_old:",
        "if not self.clock.is_old:",
    ),
    Mutant(
        "only what was asked for is given from what was read ahead",
        _in("connection/sessions"),
        "if not current or ahead.reading != reading:",
        "if not current:",
    ),
    Mutant(
        "nothing is written on a connection that lost its WATCH",
        _in("connection/sessions"),
        "if epoch != self.epoch or (watched and not self._connection.is_connected):",
        "if False:",
    ),
    Mutant(
        "what another unit left WATCHed refuses no write",
        _in("connection/sessions"),
        "        if self._watching:\n            self.unwatch()\n        replies = self.transact",
        "        replies = self.transact",
    ),
    Mutant(
        "a start arms the deadline",
        _in("state"),
        '("ZADD", keys.TIMERS, due, timer.member()),',
        '("ZSCORE", keys.TIMERS, timer.member()),',
    ),
    Mutant(
        "a timer leaves in the transaction that sends its message",
        _in("timer_store"),
        "self._state.sessions.here().write(commands)",
        "self._state.sessions.here().call(commands)",
    ),
    # -- limits
    Mutant(
        "what a node reads has a limit",
        _in("state"),
        "if size > self.settings.limits.max_read_bytes:",
        "if False:",
        tests=WORKER,
    ),
    Mutant(
        "new work is refused well before the memory is full",
        _in("admission"),
        "(int(most * ratio), f",
        "(most, f",
        tests=ADMISSION,
    ),
    Mutant(
        "executions that wait have a limit",
        _in("admission"),
        "if waiting >= most:",
        "if False:",
        tests=ADMISSION,
    ),
)
