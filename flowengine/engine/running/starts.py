"""How deliveries begin: noted in Redis before the handler runs, or only if it turns out to last.

To note a start, arm its deadline's timer and ask whether the attempt is still wanted is a round trip:
more than a quick handler takes. One that reads nothing is run without, the first time it is delivered;
the watchdog makes up for it should the handler not return soon. Whatever happens to the process
meanwhile, the message comes back when its lease lapses, and is then noted first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from flowengine.engine.ports import Receipt, Start, StateStore
from flowengine.engine.running.handler_speed import Pace
from flowengine.engine.running.task_in_hand import Hand
from flowengine.execution.records import RunNode

SLOW_S = 0.05
"""A node that has run for longer is noted as started."""


class Beginnings:
    """Begins the deliveries of one worker process."""

    def __init__(self, store: StateStore, pace: Pace, clock: Callable[[], int]) -> None:
        self._store = store
        self._pace = pace
        self._clock = clock

    def of(self, tasks: Sequence[RunNode], receipt: Receipt) -> list[Start]:
        """What each delivery begins with: one round trip for all that need it, or none.

        Raises StoreUnavailableError.
        """
        deliveries, places = receipt.deliveries, receipt.places
        # Asked once: other threads change the pace meanwhile, and each start must reach its own task.
        at_once = [self._may_begin_at_once(*pair) for pair in zip(tasks, deliveries, strict=True)]
        asking = [at for at, quick in enumerate(at_once) if not quick]
        if not asking:
            return [self._at_once() for _ in tasks]
        asked = self._store.start_nodes(
            [tasks[at] for at in asking], [deliveries[at] for at in asking], [places[at] for at in asking]
        )
        given = iter(asked)
        return [self._at_once() if quick else next(given) for quick in at_once]

    def note_those_that_last(self, hands: Iterable[Hand]) -> None:
        """Note what began unnoted and has not returned. Call now and then. Raises StoreUnavailableError."""
        limit = time.monotonic() - SLOW_S
        for hand in hands:
            if hand.began < limit:
                hand.note_start(self._store)

    def _may_begin_at_once(self, task: RunNode, delivery: int) -> bool:
        return delivery == 1 and not task.reads and self._pace.is_quick(task.handler)

    def _at_once(self) -> Start:
        return Start(wanted=True, inputs={}, room=None, now=self._clock(), noted=False)
