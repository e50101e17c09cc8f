"""The nodes of async handlers: begun several at a time, running without a thread, reported several at a time.

What renders and what starts runs on the thread that has fetched them, so that the event loop has only the
handlers to turn. One thread reports, for all of them: it takes what has ended since its last round trip. So
neither threads nor connections grow with the nodes. Their messages stay held meanwhile, and each is
acknowledged only by the transaction that reports it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import AbstractContextManager
from itertools import accumulate
from typing import Final

import structlog

from flowengine.engine.held import Held, Sink
from flowengine.engine.ports import AsyncHolding, AsyncInvoker, Redactor, RunningStore, Start
from flowengine.engine.running.handler_speed import HandlerSpeed
from flowengine.engine.running.node_scope import secret_inputs
from flowengine.engine.running.outcomes import Call
from flowengine.engine.running.runner import Runner
from flowengine.engine.running.task_in_hand import TaskInHand
from flowengine.errors import StoreUnavailableError
from flowengine.execution.messages import Callback, RunNode
from flowengine.execution.reports import Cancelled, Completed, Failed, Outcome, Waiting
from flowengine.observability.log_context import bound_contextvars
from flowengine.observability.metrics import counted
from flowengine.observability.node_output import heard_by

log = structlog.stdlib.get_logger()

REPORTED_AT_MOST: Final = 64
"""So many outcomes go in one transaction."""
REPORTED_BYTES: Final = 4 * 1024 * 1024
"""With results of so many bytes, a transaction is full."""
READ_AT_ONCE: Final = 16
"""So many outputs are read in one round trip, or those of one node: each may be a megabyte."""
CLEAN_UP_S: Final = 2.0
"""How long a handler may ignore the end of its time before nobody waits for it any more."""


class _Running:
    """One node: what was called, and what has come of it."""

    __slots__ = ("call", "ended_at", "hand", "hiding", "is_over", "output", "raised", "start")

    def __init__(self, hand: TaskInHand, start: Start, hiding: AbstractContextManager[None]) -> None:
        self.hand = hand
        self.start = start
        self.hiding = hiding
        self.call: Call | None = None
        self.output: object = None
        self.raised: BaseException | None = None
        self.is_over = False
        self.ended_at = 0.0


class AsyncNodes:
    """Runs the nodes of async handlers for one worker process.

    `holding` is told of nodes that are dealt with, reported or not: their messages are held no longer.
    """

    def __init__(
        self,
        store: RunningStore,
        runner: Runner,
        invoker: AsyncInvoker,
        secrets: Redactor,
        speed: HandlerSpeed,
        holding: AsyncHolding,
        *,
        passes_on: bool = False,
    ) -> None:
        self._store = store
        self._runner = runner
        self._invoker = invoker
        self._secrets = secrets
        self._speed = speed
        self._holding = holding
        self._passes_on = passes_on
        self._guard = threading.Lock()
        self._running: dict[int, _Running] = {}
        self._ended: deque[_Running] = deque()
        self._has_ended = threading.Event()
        self._reporter: threading.Thread | None = None

    def may_begin(self, task: RunNode) -> bool:
        """Whether this process knows that the node needs no thread."""
        handler = self._runner.outcomes.handler(task.handler)
        return handler is not None and handler.is_async

    def needs_thread(self, task: RunNode) -> bool:
        """Whether this process knows that the node needs a thread."""
        handler = self._runner.outcomes.handler(task.handler)
        return handler is not None and not handler.is_async

    def begin(self, held: Sequence[Held[RunNode]]) -> None:
        """Begin these nodes: one round trip for all that read little. What cannot begin is let go of.

        Raises StoreUnavailableError if one cannot be left to another worker: then none has begun.
        """
        known: Sequence[Held[RunNode]] = [each for each in held if not self._leave(each)]
        while known:
            part, known = _first_part(known)
            try:
                self._begin_together(part)
            except StoreUnavailableError as error:
                self._holding.let_go([*part, *known], error)
                return

    def _begin_together(self, held: Sequence[Held[RunNode]]) -> None:
        try:
            starts = self._runner.starts.of(held)
        except StoreUnavailableError:
            raise
        except Exception as error:
            if len(held) > 1:
                # One of them cannot begin: that is no reason to keep the others from it.
                for each in held:
                    self._begin_alone(each)
                return
            log.warning("node.not_begun", exc_info=True, node_id=held[0].payload.node, error=str(error))
            self._holding.let_go(held, error)
            return
        for each, start in zip(held, starts, strict=True):
            task = each.payload
            with bound_contextvars(
                execution_id=task.execution,
                node_id=task.node,
                attempt=task.attempt,
                correlation_id=task.correlation_id,
            ):
                try:
                    self._begin(TaskInHand(each, start), start)
                except Exception as error:  # the others have begun, or can
                    log.warning(
                        "node.not_begun",
                        exc_info=not isinstance(error, StoreUnavailableError),
                        error=str(error),
                    )
                    self._holding.let_go([each], error)

    def _begin_alone(self, held: Held[RunNode]) -> None:
        try:
            self._begin_together([held])
        except StoreUnavailableError as error:
            self._holding.let_go([held], error)

    def look(self) -> None:
        """Let go of handlers that ignore the end of their time. Call this now and then."""
        limit = time.monotonic() - CLEAN_UP_S
        for node in list(self._running.values()):
            if node.hand.deadline < limit and self._is_first_to_end(node):
                self._invoker.forsake(node.hand.task.handler)
                self._forget(node)
                self._holding.let_go([node.hand.held], None)

    def _leave(self, held: Held[RunNode]) -> bool:
        """Whether it was left to a worker that knows its handler."""
        if not self._passes_on or self._runner.outcomes.handler(held.payload.handler) is not None:
            return False
        held.pass_on()
        self._holding.let_go([held], None)
        return True

    def _begin(self, hand: TaskInHand, start: Start) -> None:
        node = _Running(hand, start, self._secrets.hiding(secret_inputs(start.given)))
        if not start.wanted:
            self._runner.drop(hand)
            self._holding.let_go([hand.held], None)
            return
        hand.began = time.monotonic()
        hand.holds_thread = False
        node.hiding.__enter__()
        self._running[id(node)] = node
        self._runner.running[id(hand)] = hand
        if start.stopping:
            hand.cancellation.request()
            self._end(node, None, None)
            return
        log.debug("node.started", handler=hand.task.handler, delivery=hand.delivery)
        counted.WAIT.observe(hand.waited_s, hand.task.handler)
        try:
            call = self._runner.outcomes.call_of(hand.task, start, hand.delivery, hand.deadline, hand)
            node.call = call
            if call is None:
                self._end(node, None, None)
                return
            with heard_by(hand.output):
                self._invoker.begin(
                    call.handler, call.config, call.context, lambda ended: self._end(node, *ended)
                )
        except BaseException as error:  # noqa: BLE001 - the edge to users' code: it becomes the node's outcome
            self._end(node, None, error)

    def _is_first_to_end(self, node: _Running) -> bool:
        with self._guard:
            first, node.is_over = not node.is_over, True
            return first

    def _end(self, node: _Running, output: object, raised: BaseException | None) -> None:
        """It has ended; on the event loop's thread, which has other things to do than to report it."""
        if not self._is_first_to_end(node):
            return
        node.output, node.raised, node.ended_at = output, raised, time.monotonic()
        # It is in time, however long it waits for the reporter: the watchdog must not look at it any more.
        self._runner.running.pop(id(node.hand), None)
        self._ended.append(node)
        self._has_ended.set()
        if self._reporter is None:
            self._start_reporter()

    def _start_reporter(self) -> None:
        with self._guard:
            if self._reporter is None:
                self._reporter = threading.Thread(target=self._report_all, name="reporter", daemon=True)
                self._reporter.start()

    # -- the reporter's thread

    def _report_all(self) -> None:
        while True:
            self._has_ended.wait()
            self._has_ended.clear()
            while self._ended:
                try:
                    self._report_next()
                except BaseException:
                    log.error("node.reporter_failed", exc_info=True)

    def _report_next(self) -> None:
        mine: list[tuple[TaskInHand, Callback]] = []
        size = 0
        while self._ended and len(mine) < REPORTED_AT_MOST and size < REPORTED_BYTES:
            node = self._ended.popleft()
            callback = self._callback(node)
            if callback is not None:
                mine.append((node.hand, callback))
                outcome = callback.outcome
                size += len(outcome.result) if isinstance(outcome, Completed) else 0
        if mine:
            self._report(mine)

    def _callback(self, node: _Running) -> Callback | None:
        """What tells how it has ended. None if that is another's to tell, or cannot be told: then it is let
        go of."""
        hand = node.hand
        task = hand.task
        failure: BaseException | None = None
        with bound_contextvars(
            execution_id=task.execution,
            node_id=task.node,
            attempt=task.attempt,
            correlation_id=task.correlation_id,
        ):
            try:
                outcome = self._outcome(node)
                if self._holding.is_handed_back(hand.held):
                    log.info("node.outcome_dropped", reason="handed back")
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

    def _outcome(self, node: _Running) -> Outcome:
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
        return (
            Cancelled() if isinstance(outcome, Failed | Waiting) and hand.cancellation.requested else outcome
        )

    def _forget(self, node: _Running) -> None:
        hand = node.hand
        node.hiding.__exit__(None, None, None)
        took_s = (node.ended_at or time.monotonic()) - hand.began
        self._speed.observe(hand.task.handler, took_s)
        counted.RUN.observe(took_s, hand.task.handler)
        self._running.pop(id(node), None)
        self._runner.running.pop(id(hand), None)

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


def _first_part(held: Sequence[Held[RunNode]]) -> tuple[Sequence[Held[RunNode]], Sequence[Held[RunNode]]]:
    """Those that begin in one round trip, and the others."""
    reads = accumulate(len(each.payload.reads) for each in held)
    most = max(1, sum(1 for number in reads if number <= READ_AT_ONCE))
    return held[:most], held[most:]
