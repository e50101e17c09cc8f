"""How deliveries begin: noted in Redis before the handler runs, or only if it turns out to last.

To note a start, arm its deadline's timer and ask whether the task is still wanted is a round trip: more than
a quick handler takes. One that reads nothing is run without, the first time it is delivered; the watchdog
notes it if the handler does not return soon. Whatever happens to the process meanwhile, the message comes
back when its lease lapses, and is then noted first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import Final

from flowengine.engine.held import Held
from flowengine.engine.ports import RunningStore, Start
from flowengine.engine.running.handler_speed import HandlerSpeed
from flowengine.engine.running.task_in_hand import TaskInHand
from flowengine.execution.messages import RunNode
from flowengine.execution.rules.repeating import reads_own_key
from flowengine.heuristics import LASTING_S

NOTED_AT_ONCE: Final = 64
"""So many starts are noted in one round trip. Nobody can report these nodes meanwhile."""


class Starts:
    """Begins the deliveries of one worker process.

    `is_stopping`: whether an execution was marked as stopping lately. Its tasks ask whether they are wanted.
    """

    def __init__(
        self,
        store: RunningStore,
        speed: HandlerSpeed,
        clock: Callable[[], int],
        is_stopping: Callable[[str], bool] = lambda execution: False,
    ) -> None:
        self._is_stopping = is_stopping
        self._store = store
        self._speed = speed
        self._clock = clock

    def of(self, held: Sequence[Held[RunNode]]) -> list[Start]:
        """What each delivery begins with: one round trip for all that need it, or none.

        Raises StoreUnavailableError.
        """
        # Asked once: other threads change the speeds meanwhile, and each start must reach its own task.
        at_once = [self._may_begin_at_once(each) for each in held]
        asking = [each for each, quick in zip(held, at_once, strict=True) if not quick]
        if not asking:
            return [self._at_once() for _ in held]
        asked = [(each.payload, each.delivery, each.place) for each in asking]
        given = iter(self._store.start_nodes(asked))
        return [self._at_once() if quick else next(given) for quick in at_once]

    def note_those_that_last(self, hands: Iterable[TaskInHand]) -> None:
        """Note what began unnoted and has not returned: one round trip for many. Call now and then.

        Raises StoreUnavailableError.
        """
        limit = time.monotonic() - LASTING_S
        lasting = [hand for hand in hands if hand.began < limit and hand.may_lack_note]
        for at in range(0, len(lasting), NOTED_AT_ONCE):
            with ExitStack() as noting:
                asked = [
                    (hand.task, noting.enter_context(hand.noting())) for hand in lasting[at:][:NOTED_AT_ONCE]
                ]
                begun = [(task, found) for task, found in asked if found is not None]
                if begun:
                    self._store.note_starts(begun)

    def _may_begin_at_once(self, held: Held[RunNode]) -> bool:
        task = held.payload
        reads = task.reads or task.sees or task.given or task.outer or reads_own_key(task)
        reads = (
            reads
            or task.calls_back is not None
            or task.cache is not None
            or bool(task.held)
            or task.looks_back
        )
        # A start that counts is noted, so that it counts from then on.
        if held.delivery != 1 or reads or task.pace is not None or self._is_stopping(task.execution):
            return False
        return self._speed.is_quick(task.handler)

    def _at_once(self) -> Start:
        return Start(wanted=True, inputs={}, storable_bytes=None, now=self._clock(), noted=False)
