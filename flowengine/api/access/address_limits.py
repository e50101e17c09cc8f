"""How often one address may call a route that needs no key: so many at once, and so many a second after that.

Kept in the memory of this process. Behind a proxy all callers have its address.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

MOST_ADDRESSES: Final = 10_000
"""Of so many addresses it is remembered how often they have called; the one that was silent longest goes."""


class AddressLimits:
    """Counts the calls of each address. For one thread.

    `at_once`: what an address may spend at once; `per_s`: what it gets back a second. `clock`: in seconds.
    """

    def __init__(self, at_once: float, per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._at_once = at_once
        self._per_s = per_s
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, address: str) -> float:
        """For how long it may not call; 0: it may."""
        left = self._now_left(address)
        return 0.0 if left >= 1 else (1 - left) / self._per_s

    def spend(self, address: str, cost: float = 1) -> None:
        """It has called. What it costs may be more than what is left; it owes as much as it may spend at once
        at most, so that it never waits longer than for that."""
        left = max(self._now_left(address) - cost, -self._at_once)
        self._left[address] = left, self._clock()
        self._left.move_to_end(address)
        if len(self._left) > MOST_ADDRESSES:
            self._left.popitem(last=False)

    def _now_left(self, address: str) -> float:
        left, at = self._left.get(address, (self._at_once, 0.0))
        return min(self._at_once, left + (self._clock() - at) * self._per_s)
