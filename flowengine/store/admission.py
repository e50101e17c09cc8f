"""Whether new work may come in: the limit on unfinished executions, and Redis's memory.

What already runs must be able to end, so new executions and triggers are refused well before
`maxmemory`, where Redis refuses every transaction whole.
"""

from __future__ import annotations

import time

import redis

from flowengine.errors import StoreFullError, TooManyExecutionsError
from flowengine.store import keys
from flowengine.store.state import RedisState

MEMORY_EVERY_S = 0.5
RETRY_AFTER_S = 5


class Admission:
    """The doorkeeper of one process. Memory is asked for at most twice a second."""

    def __init__(self, state: RedisState) -> None:
        self._state = state
        self._asked = float("-inf")
        self._full: str | None = None

    def check(self, *, starting: bool = False) -> None:
        """Raises TooManyExecutionsError or StoreFullError when no new work may come in.

        `starting`: a trigger; only the executions that run count then.
        """
        pending, running = self._state.sessions.retrying_read(
            [("ZCARD", keys.index("pending")), ("ZCARD", keys.index("running"))]
        )
        waiting = running if starting else pending + running
        most = self._state.settings.max_unfinished_executions
        if waiting >= most:
            raise TooManyExecutionsError(
                f"{waiting} executions have not ended, the limit is {most} "
                "(FLOWENGINE_MAX_UNFINISHED_EXECUTIONS): try again later",
                retry_after_s=RETRY_AFTER_S,
            )
        self._check_memory()

    def _check_memory(self) -> None:
        if time.monotonic() - self._asked >= MEMORY_EVERY_S:
            self._full = self._memory()
            self._asked = time.monotonic()
        if self._full is not None:
            raise StoreFullError(self._full)

    def _memory(self) -> str | None:
        try:
            reply = self._state.sessions.retrying_read([("INFO", "memory")])[0]
        except redis.ResponseError:
            # Hosted servers may forbid INFO; then Redis itself refuses, later.
            return None
        figures = parse_info(reply)
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
