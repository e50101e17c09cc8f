"""Timers in Redis: armed in one sorted set a kind, moved into the orchestrator's queue when due.

A process looks at the kinds that it knows, so that a kind of a later version waits for processes of that
version and holds up nothing. A member that nobody can read is set aside alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any, Final

import structlog
from msgspec.structs import replace

from flowengine.execution.messages import (
    HooksTimeout,
    RunTimeout,
    ScheduleDue,
    StartFollowers,
    StopOverdue,
    Timer,
)
from flowengine.observability.metrics import counted
from flowengine.queues import ORCHESTRATOR_QUEUE
from flowengine.store.connection.sessions import Commands
from flowengine.store.keys import (
    parse_deadline,
    parse_delivery_due,
    parse_map_over,
    parse_next_try,
    parse_schedule_due,
    parse_starts_due,
    parse_wait_over,
    run_parser_of,
)
from flowengine.store.state import RedisState

log = structlog.stdlib.get_logger()

AT_ONCE: Final = 64
ODD_KEPT: Final = 1000

PARSERS: Final[Mapping[str, Callable[[bytes], Timer | ScheduleDue | StartFollowers | None]]] = (
    MappingProxyType(
        {
            "deadline": parse_deadline,
            "retry": parse_next_try,
            "wait": parse_wait_over,
            "map": parse_map_over,
            "timeout": run_parser_of(RunTimeout),
            "stop": run_parser_of(StopOverdue),
            "hooks": run_parser_of(HooksTimeout),
            "delivery": parse_delivery_due,
            "starts": parse_starts_due,
            "schedule": parse_schedule_due,
            "followers": run_parser_of(StartFollowers),
        }
    )
)


class RedisTimers:
    """Implements `flowengine.engine.maintenance.timer_loop.TimerStore`."""

    def __init__(self, state: RedisState) -> None:
        self._state = state
        self.set_aside = 0
        """How many members nobody could read."""

    def on_armed(self, tell: Callable[[int], None]) -> None:
        """Call `tell` with the time at which a timer is due that this process has just armed."""
        self._state.on_armed = tell

    def now(self) -> int:
        """Redis's time in milliseconds since the epoch."""
        return self._state.now()

    def fire_due(self, *, holding: Collection[str] = ()) -> float | None:
        """Send what is due, at most 64 of a kind at once; seconds until the next, None when there is none.

        `holding`: kinds that are left alone for now.
        """
        kinds = [kind for kind in PARSERS if kind not in holding]
        reads = [("ZRANGE", self._state.keys.timers(kind), 0, AT_ONCE - 1, "WITHSCORES") for kind in kinds]
        time, *found = self._state.sessions.retrying_read([("TIME",), *reads])
        now = self._state.clock.seen(time)
        nexts = [self._fire(kind, rows, now) for kind, rows in zip(kinds, found, strict=True)]
        return min((left for left in nexts if left is not None), default=None)

    def _fire(self, kind: str, rows: list[Any], now: int) -> float | None:
        pairs = list(zip(rows[::2], map(float, rows[1::2]), strict=True))
        due = [member for member, score in pairs if score <= now]
        if due:
            self._send(kind, due, now)
            for _, score in pairs[: len(due)]:
                counted.TIMERS_LATE.observe((now - score) / 1000, kind)
        if len(due) < len(pairs):
            return (pairs[len(due)][1] - now) / 1000
        return 0.0 if due else None

    def _send(self, kind: str, members: list[bytes], now: int) -> None:
        names = self._state.keys
        commands = Commands()
        odd: list[bytes] = []
        for member in members:
            commands.append(("ZREM", names.timers(kind), member))
            timer = PARSERS[kind](member)
            if timer is None:
                odd.append(member)
                commands.append(("ZADD", names.odd_timers, now, member))
            elif isinstance(timer, ScheduleDue):
                # Many come at once, at midnight say: they do not stand before what runs.
                line = self._state.lines_beside.line_for(ORCHESTRATOR_QUEUE, waits=False, crowd=True)
                self._state.post(commands, line, replace(timer, noticed=now), names.partition)
            else:
                self._state.post(commands, ORCHESTRATOR_QUEUE, timer, names.partition)
        if odd:
            commands.append(("ZREMRANGEBYRANK", names.odd_timers, 0, -ODD_KEPT - 1))
        self._state.sessions.here().write(commands)
        if odd:
            self.set_aside += len(odd)
            shown = [member[:100].decode(errors="replace") for member in odd[:3]]
            log.error("timers.set_aside", kind=kind, count=len(odd), members=shown)
