"""How long each handler takes, by what this process has seen of it."""

from __future__ import annotations

from flowengine.heuristics import QUICK_HANDLER_S, SLOW_HANDLER_S, SPEED_KNOWN_AFTER, SPEED_WEIGHT


class HandlerSpeed:
    """A moving average by handler. Threads may race: an observation lost does no harm.

    A handler that has become quick stays so until it is clearly slow: one at the limit would run now this
    way and now that, as the machine's load moves it.
    """

    def __init__(self) -> None:
        self._average_s: dict[str, float] = {}
        self._seen: dict[str, int] = {}
        self._quick: set[str] = set()

    def observe(self, handler: str, took_s: float) -> None:
        """The handler, rendering included, took so long."""
        before = self._average_s.get(handler, took_s)
        average = self._average_s[handler] = before + (took_s - before) * SPEED_WEIGHT
        seen = self._seen.get(handler, 0)
        if seen < SPEED_KNOWN_AFTER:
            seen = self._seen[handler] = seen + 1
        if average < QUICK_HANDLER_S:
            if seen >= SPEED_KNOWN_AFTER:
                self._quick.add(handler)
        elif average >= SLOW_HANDLER_S:
            self._quick.discard(handler)

    def is_quick(self, handler: str) -> bool:
        """Whether it takes less than a round trip or two, on average."""
        return handler in self._quick
