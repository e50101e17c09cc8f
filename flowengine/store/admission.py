"""Whether new work may come in: the limit on unfinished executions, and Redis's memory.

What already runs must be able to end, so new executions and triggers are refused well before
`maxmemory`, where Redis refuses every transaction whole.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import redis

from flowengine.errors import StoreFullError, TooManyExecutionsError
from flowengine.store.connection.sessions import Command
from flowengine.store.state import RedisState

MEMORY_EVERY_S = 0.5
RETRY_AFTER_S = 5


class Admission:
    """The doorkeeper of one process. Memory is asked for at most each `memory_every_s` seconds.

    `questions` go along with whatever else the caller reads, in one round trip, and their replies to
    `decide`; `check` asks by itself.
    """

    def __init__(self, state: RedisState, *, memory_every_s: float = MEMORY_EVERY_S) -> None:
        self._state = state
        self._memory_every_s = memory_every_s
        self._asked = float("-inf")
        self._full: str | None = None
        self._may_ask: bool | None = None

    def check(self) -> None:
        """Raises TooManyExecutionsError or StoreFullError when no new execution may come in."""
        self.decide(self._state.sessions.retrying_read(self.questions()))

    def questions(self) -> list[Command]:
        """What to ask: how many wait and run and, where that is not known, how much memory is used."""
        names = self._state.keys
        asked: list[Command] = [("ZCARD", names.index("pending")), ("ZCARD", names.index("running"))]
        if time.monotonic() - self._asked < self._memory_every_s:
            return asked
        if self._may_ask is None:
            self._may_ask = self._probe()
        return [*asked, ("INFO", "memory")] if self._may_ask else asked

    def decide(self, replies: Sequence[Any], *, starting: bool = False) -> None:
        """Raises TooManyExecutionsError or StoreFullError when no new work may come in.

        `starting`: a trigger; only the executions that run count then.
        """
        pending, running, *memory = replies
        if memory:
            self._full = self._too_full(parse_info(memory[0]))
            self._asked = time.monotonic()
        waiting = running if starting else pending + running
        most = self._state.settings.max_unfinished_executions
        if waiting >= most:
            raise TooManyExecutionsError(
                f"{waiting} executions have not ended, the limit is {most} "
                "(FLOWENGINE_MAX_UNFINISHED_EXECUTIONS): try again later",
                retry_after_s=RETRY_AFTER_S,
            )
        if self._full is not None:
            raise StoreFullError(self._full)

    def _probe(self) -> bool:
        """Whether INFO is allowed: hosted servers may forbid it, which would fail all that goes with it."""
        try:
            self._state.sessions.retrying_read([("INFO", "memory")])
        except redis.ResponseError:
            # Then Redis itself refuses, later.
            return False
        return True

    def _too_full(self, figures: Mapping[str, str]) -> str | None:
        most, used = int(figures.get("maxmemory", 0)), int(figures.get("used_memory", 0))
        ratio = self._state.settings.memory_limit_ratio
        if most == 0 or used <= most * ratio:
            return None
        return (
            f"Redis uses {used} of {most} bytes, more than {ratio:.0%}: new work is refused so that what "
            "runs can end; raise maxmemory or wait"
        )


def parse_info(reply: bytes | dict[str, object]) -> dict[str, str]:
    """The figures of an INFO reply."""
    if isinstance(reply, dict):
        return {str(name): str(value) for name, value in reply.items()}
    lines = (line.split(":", 1) for line in reply.decode().splitlines() if ":" in line)
    return {name: value.strip() for name, value in lines}
