"""Timers in Redis: armed in `fe:timers`, moved into the orchestrator's queue when due."""

from __future__ import annotations

from collections.abc import Iterable

from flowengine.execution.records import TimerFired
from flowengine.store import keys
from flowengine.store.connection.sessions import Commands
from flowengine.store.state import RedisState

AT_ONCE = 64


class RedisTimers:
    """Implements `flowengine.engine.maintenance.timer_loop.TimerStore`."""

    def __init__(self, state: RedisState) -> None:
        self._state = state

    def fire_due(self) -> float | None:
        """Send what is due, at most 64 at once; seconds until the next, None when there is none."""
        time, first = self._state.sessions.retrying_read(
            [("TIME",), ("ZRANGE", keys.TIMERS, 0, AT_ONCE - 1, "WITHSCORES")]
        )
        now = self._state.clock.seen(time)
        pairs = list(zip(first[::2], first[1::2], strict=True))
        due = [(member, float(score)) for member, score in pairs if float(score) <= now]
        if due:
            self._send(member for member, _ in due)
        if len(due) < len(pairs):
            return (float(pairs[len(due)][1]) - now) / 1000
        return 0.0 if due else None

    def _send(self, members: Iterable[bytes]) -> None:
        commands = Commands()
        for member in members:
            commands.append(("ZREM", keys.TIMERS, member))
            timer = keys.parse_timer(member)
            if timer is not None:
                fired = TimerFired(
                    execution=timer.execution, run=timer.run, node=timer.node, attempt=timer.attempt
                )
                self._state.send_to_orchestrator(commands, "timer_fired", fired)
        self._state.sessions.here().write(commands)
