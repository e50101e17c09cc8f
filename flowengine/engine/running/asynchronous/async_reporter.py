"""Reports nodes of async handlers: one thread for all, which takes what has ended since its last round trip.

Each message is acknowledged by the transaction that reports its node, and by nothing else.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from flowengine.engine.held import Sink
from flowengine.engine.ports import AsyncHolding
from flowengine.engine.running.asynchronous.async_node import AsyncNode
from flowengine.engine.running.node_identity import identity_of
from flowengine.engine.running.runner import Runner
from flowengine.engine.running.task_in_hand import TaskInHand
from flowengine.errors import StoreUnavailableError
from flowengine.execution.messages import Callback
from flowengine.execution.reports import Cancelled, Failed, Outcome, Waiting, size_of
from flowengine.observability.log_context import bound_contextvars

log = structlog.stdlib.get_logger()

REPORTED_AT_MOST: Final = 64
"""So many outcomes go in one transaction."""
REPORTED_BYTES: Final = 4 * 1024 * 1024
"""With results of so many bytes, a transaction is full."""


class AsyncReporter:
    """Tells what has come of nodes, in the order in which they have ended.

    `forget` is called once for each, when its outcome is made. `holding` is told of what is dealt with,
    reported or not. With `on_thread=False` it has no thread: somebody calls `report`.
    """

    def __init__(
        self,
        runner: Runner,
        holding: AsyncHolding,
        forget: Callable[[AsyncNode], None],
        *,
        on_thread: bool = True,
    ) -> None:
        self._runner = runner
        self._holding = holding
        self._forget = forget
        self._on_thread = on_thread
        self._guard = threading.Lock()
        self._ended: deque[AsyncNode] = deque()
        self._has_ended = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, node: AsyncNode) -> None:
        """It has ended. Any thread may call this; it waits for nothing."""
        self._ended.append(node)
        self._has_ended.set()
        if self._thread is None and self._on_thread:
            self._start()

    def report(self) -> None:
        """Report all that has ended."""
        while self._ended:
            self._report_next()

    def _start(self) -> None:
        with self._guard:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            self._has_ended.wait()
            self._has_ended.clear()
            try:
                self.report()
            except BaseException:
                log.error("node.reporter_failed", exc_info=True)
                self._has_ended.set()

    def _report_next(self) -> None:
        mine: list[tuple[TaskInHand, Callback]] = []
        size = 0
        while self._ended and len(mine) < REPORTED_AT_MOST and size < REPORTED_BYTES:
            node = self._ended.popleft()
            callback = self._callback(node)
            if callback is not None:
                mine.append((node.hand, callback))
                size += size_of(callback.outcome)
        if mine:
            self._report(mine)

    def _callback(self, node: AsyncNode) -> Callback | None:
        """What tells how it has ended. None if that is another's to tell, or cannot be told: then it is let
        go of."""
        hand = node.hand
        task = hand.task
        failure: BaseException | None = None
        with bound_contextvars(**identity_of(task, hand.delivery)):
            try:
                outcome = self._outcome(node)
                if self._holding.is_handed_back(hand.held):
                    log.info("node.outcome_dropped", reason="handed back")
                elif hand.held.is_lost:
                    log.warning("node.outcome_dropped", reason="lease lost")
                elif hand.take():
                    return self._runner.callback(hand, outcome)
                else:
                    log.warning("node.outcome_dropped", reason="already reported")
            except BaseException as error:
                log.error("node.report_failed", exc_info=True)
                failure = error
            finally:
                self._forget(node)
        self._holding.let_go([hand.held], failure)
        return None

    def _outcome(self, node: AsyncNode) -> Outcome:
        hand, outcomes = node.hand, self._runner.outcomes
        task = hand.task
        outcome: Outcome
        try:
            if node.raised is not None:
                raise node.raised
            if node.start.stopping:
                return Cancelled()
            outcome = outcomes.completed(task, node.start, node.call, node.output, node.ended_at)
        except BaseException as error:  # noqa: BLE001 - the edge to users' code: it becomes the outcome
            outcome = outcomes.failed(task, node.start, error)
        self._runner.outputs.gather(hand)
        lost = isinstance(outcome, Failed | Waiting) and hand.cancellation.requested
        return Cancelled() if lost else outcome

    def _report(self, mine: Sequence[tuple[TaskInHand, Callback]]) -> None:
        held = [hand.held for hand, _ in mine]
        try:
            self._send(mine)
            self._holding.let_go(held, None)
        except Exception as error:
            known = isinstance(error, StoreUnavailableError)
            if len(mine) > 1 and not known:
                # One of them cannot be written: that is no reason to run the others again.
                for pair in mine:
                    self._report([pair])
                return
            log.warning("node.report_failed", error=str(error), count=len(mine), exc_info=not known)
            self._holding.let_go(held, error)

    def _send(self, mine: Sequence[tuple[TaskInHand, Callback]]) -> None:
        held = [hand.held for hand, _ in mine]

        def acknowledge(sink: Sink) -> None:
            self._holding.acknowledge(sink, held)

        self._runner.send(mine, acknowledge)
        for each in held:
            each.confirm()
        for hand, callback in mine:
            self._runner.note(hand, callback.outcome)
