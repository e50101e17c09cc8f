"""Several quick nodes of one worker thread: started together, reported in one round trip.

A node that does next to nothing costs less than the round trips around it. Only handlers that have
shown themselves quick are run so, and only where there are more nodes than threads. If one of them is slow,
the others do not wait for it: what has been done is reported and what has not begun is handed
back, by the first that notices (`relieve`).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

import msgspec

from flowengine.engine.held import Held, HeldTogether
from flowengine.engine.ports import RunningStore, Start
from flowengine.engine.running.handler_speed import HandlerSpeed
from flowengine.engine.running.node_identity import identity_of
from flowengine.engine.running.runner import Runner
from flowengine.engine.running.task_in_hand import TaskInHand
from flowengine.execution.messages import Callback, RunNode
from flowengine.execution.reports import Cancelled, size_of
from flowengine.heuristics import GROUP_SLOW_S, GROUP_UNREPORTED_BYTES, GROUPED_READS
from flowengine.jsonvalue import UNREADABLE
from flowengine.observability.log_context import bound_contextvars


class _Kind(msgspec.Struct, frozen=True):
    """What tells whether a task is one that quick groups are made of. The rest of it is not read."""

    handler: str
    reads: tuple[msgspec.Raw, ...]
    outer: tuple[msgspec.Raw, ...] = ()
    given: tuple[msgspec.Raw, ...] = ()


_kind: Final = msgspec.json.Decoder(_Kind)


class QuickGroup:
    """The nodes of one delivery. Each is begun once or handed back, each outcome reported once.

    Outcomes of more than `unreported_bytes` together are reported before more come.
    """

    def __init__(
        self, waiting: Sequence[tuple[TaskInHand, Start]], *, unreported_bytes: int = GROUP_UNREPORTED_BYTES
    ) -> None:
        self.since = time.monotonic()
        self.giving = threading.Lock()
        self._guard = threading.Lock()
        self._waiting = deque(waiting)
        self._done: list[tuple[TaskInHand, Callback]] = []
        self._size = 0
        self._unreported_bytes = unreported_bytes

    def begin_next(self) -> tuple[TaskInHand, Start] | None:
        """The next node to run, now the caller's; None when there is none left."""
        with self._guard:
            self.since = time.monotonic()
            return self._waiting.popleft() if self._waiting else None

    def take_waiting(self) -> list[tuple[TaskInHand, Start]]:
        """Those that have not begun, now the caller's to hand back."""
        with self._guard:
            taken, self._waiting = list(self._waiting), deque()
            return taken

    def is_unfinished(self) -> bool:
        """Whether there are nodes to begin, once a hand-back under way has ended.

        A delivery that ends meanwhile would hand them back as well, as if they had been begun.
        """
        with self.giving, self._guard:
            return bool(self._waiting)

    def wait_again(self, waiting: list[tuple[TaskInHand, Start]]) -> None:
        """Handing them back failed."""
        with self._guard:
            self._waiting.extend(waiting)

    def add(self, hand: TaskInHand, callback: Callback, size: int) -> bool:
        """Keep an outcome to report; True when enough have come together."""
        with self._guard:
            self._done.append((hand, callback))
            self._size += size
            return self._size > self._unreported_bytes

    def take_done(self) -> list[tuple[TaskInHand, Callback]]:
        """The outcomes to report, now the caller's."""
        with self._guard:
            taken, self._done, self._size = self._done, [], 0
            return taken

    def put_back(self, done: list[tuple[TaskInHand, Callback]]) -> None:
        """Reporting failed: someone may try again."""
        with self._guard:
            self._done[:0] = done


class QuickGroups:
    """Runs groups for the threads of one worker process.

    What waits behind a node is let go of once that node has taken `slow_s` seconds.
    """

    def __init__(
        self,
        store: RunningStore,
        runner: Runner,
        speed: HandlerSpeed,
        *,
        slow_s: float = GROUP_SLOW_S,
        unreported_bytes: int = GROUP_UNREPORTED_BYTES,
    ) -> None:
        self._store = store
        self._runner = runner
        self._speed = speed
        self._slow_s = slow_s
        self._unreported_bytes = unreported_bytes
        self._groups: dict[int, QuickGroup] = {}

    def is_quick(self, payload: bytes) -> bool:
        """Whether this task reads little, and its handler has shown itself quick."""
        try:
            task = _kind.decode(payload)
        except UNREADABLE:
            return False
        return len(task.reads) + len(task.outer) + len(task.given) <= GROUPED_READS and self._speed.is_quick(
            task.handler
        )

    def run(self, held: Sequence[Held[RunNode]]) -> None:
        """Run one delivery of several nodes and report their outcomes. Raises StoreUnavailableError."""
        starts = self._runner.starts.of(held)
        begun = [(TaskInHand(each, start), start) for each, start in zip(held, starts, strict=True)]
        for hand, start in begun:
            if not start.wanted:
                self._runner.drop(hand)
            elif start.stopping:
                self._runner.report(hand, Cancelled())
        wanted = [(hand, start) for hand, start in begun if start.wanted and not start.stopping]
        group = QuickGroup(wanted, unreported_bytes=self._unreported_bytes)
        self._groups[id(group)] = group
        try:
            while group.is_unfinished():
                while (pair := group.begin_next()) is not None:
                    self._run_one(group, *pair)
                self._report(group)
        finally:
            del self._groups[id(group)]

    def relieve(self) -> None:
        """Let go of whatever waits behind a node that is slow after all. Call this now and then.

        Raises StoreUnavailableError; what was not let go of then is the next time.
        """
        for group in list(self._groups.values()):
            if time.monotonic() - group.since > self._slow_s:
                self._report(group)
                self._hand_back(group)

    def _hand_back(self, group: QuickGroup) -> None:
        with group.giving:
            waiting = group.take_waiting()
            if not waiting:
                return
            try:
                for hand, _ in waiting:
                    hand.forget_start(self._store)
            except BaseException:
                group.wait_again(waiting)
                raise
            HeldTogether([hand.held for hand, _ in waiting]).hand_back()

    def _run_one(self, group: QuickGroup, hand: TaskInHand, start: Start) -> None:
        task = hand.task
        with bound_contextvars(**identity_of(task, hand.delivery)):
            outcome = self._runner.outcome_of(hand, start)
            if hand.take() and group.add(hand, self._runner.callback(hand, outcome), size_of(outcome)):
                self._report(group)

    def _report(self, group: QuickGroup) -> None:
        done = [pair for pair in group.take_done() if not pair[0].held.is_lost]
        if not done:
            return
        together = HeldTogether([hand.held for hand, _ in done])
        try:
            self._runner.send(done, together.acknowledge)
        except BaseException:
            group.put_back(done)
            raise
        together.confirm()
        for hand, callback in done:
            self._runner.note(hand, callback.outcome)
