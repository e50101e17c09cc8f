"""How long each handler takes, by what this process has seen of it."""

from __future__ import annotations

from flowengine.heuristics import QUICK_HANDLER_S, SPEED_KNOWN_AFTER, SPEED_WEIGHT


class HandlerSpeed:
    """A moving average by handler. Threads may race: an observation lost does no harm."""

    def __init__(self) -> None:
        self._average_s: dict[str, float] = {}
        self._seen: dict[str, int] = {}

    def observe(self, handler: str, took_s: float) -> None:
        """The handler, rendering included, took so long."""
        before = self._average_s.get(handler, took_s)
        self._average_s[handler] = before + (took_s - before) * SPEED_WEIGHT
        if self._seen.get(handler, 0) < SPEED_KNOWN_AFTER:
            self._seen[handler] = self._seen.get(handler, 0) + 1

    def is_quick(self, handler: str) -> bool:
        """Whether it takes less than a round trip or two, on average."""
        return self._seen.get(handler, 0) >= SPEED_KNOWN_AFTER and self._average_s[handler] < QUICK_HANDLER_S
