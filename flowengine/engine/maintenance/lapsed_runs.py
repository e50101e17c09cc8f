"""What runs with queues of their own have left, once their leases have lapsed, goes to the common queues.

A run of the tool on a server that others use has queues of its own (see `flowengine.queues`). Its processes
keep their leases. When it has died, the common processes go on with its execution.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import structlog

from flowengine.errors import StoreUnavailableError

log = structlog.stdlib.get_logger()

STANDSTILL_SHARE: Final = 1 / 3
"""An answer later than this share of a lease means that the server stood still, and the runs with it."""


class OwnQueueStore(Protocol):
    """The queues that executions have of their own. Every method may raise StoreUnavailableError."""

    def lapsed(self) -> Sequence[str]:
        """The executions that have such queues, all of whose leases have lapsed."""

    def hand_over(self, owner: str) -> int:
        """Move to the common queues what is left of one, and forget its own; returns how many messages.

        Raises ConflictError while somebody goes on writing to them.
        """


class LapsedRuns:
    """Hands over, turn by turn.

    Nothing for `hold_s`, a lease, after its start and after an outage: the runs may have been cut off as
    well, and are about to keep their leases again. `clock` counts seconds.
    """

    def __init__(
        self, store: OwnQueueStore, *, hold_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._hold_s = hold_s
        self._clock = clock
        self._hold_until = clock() + hold_s

    def turn(self) -> None:
        """Hand over what is due. Raises StoreUnavailableError."""
        asked = self._clock()
        try:
            owners = self._store.lapsed()
        except StoreUnavailableError:
            self.hold()
            raise
        if self._clock() - asked > self._hold_s * STANDSTILL_SHARE:
            self.hold()
        if self._clock() < self._hold_until:
            return
        for owner in owners:
            self._hand_over_alone(owner)

    def _hand_over_alone(self, owner: str) -> None:
        """One that cannot be handed over does not keep the others from it."""
        try:
            moved = self._store.hand_over(owner)
        except StoreUnavailableError:
            raise
        except Exception:
            log.error("execution.not_handed_over", execution_id=owner, exc_info=True)
        else:
            log.warning("execution.handed_over", execution_id=owner, messages=moved)

    def hold(self) -> None:
        """Hand over nothing for a lease from now on."""
        self._hold_until = self._clock() + self._hold_s
