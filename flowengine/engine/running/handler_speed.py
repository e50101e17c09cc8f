"""How long each handler takes, by what this process has seen of it."""

from __future__ import annotations

QUICK_S = 0.001
SEEN_ENOUGH = 5
WEIGHT = 0.2


class HandlerSpeed:
    """A moving average by handler. Threads may race: an observation lost does no harm."""

    def __init__(self) -> None:
        self._average_s: dict[str, float] = {}
        self._seen: dict[str, int] = {}

    def observe(self, handler: str, took_s: float) -> None:
        """The handler, rendering included, took so long."""
        before = self._average_s.get(handler, took_s)
        self._average_s[handler] = before + (took_s - before) * WEIGHT
        if self._seen.get(handler, 0) < SEEN_ENOUGH:
            self._seen[handler] = self._seen.get(handler, 0) + 1

    def is_quick(self, handler: str) -> bool:
        """Whether it takes less than a round trip or two, on average."""
        return self._seen.get(handler, 0) >= SEEN_ENOUGH and self._average_s[handler] < QUICK_S
