"""The nodes of async handlers: begun several at a time, running without a thread.

What renders and what starts runs on the thread that has fetched them, so that the event loop has only the
handlers to turn. Their messages stay held meanwhile. Neither threads nor connections grow with the nodes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

import structlog

from flowengine.engine.held import Held
from flowengine.engine.ports import AsyncHolding, AsyncInvoker, Redactor, RunningStore, Start
from flowengine.engine.running.asynchronous.async_node import AsyncNode
from flowengine.engine.running.asynchronous.async_reporter import AsyncReporter
from flowengine.engine.running.asynchronous.kept_memory import kept_bytes
from flowengine.engine.running.handler_speed import HandlerSpeed
from flowengine.engine.running.node_identity import identity_of
from flowengine.engine.running.outcomes import Call
from flowengine.engine.running.rendering.node_scope import texts_to_hide
from flowengine.engine.running.runner import Runner
from flowengine.engine.running.task_in_hand import TaskInHand
from flowengine.errors import StoreUnavailableError
from flowengine.execution.messages import RunNode
from flowengine.observability.log_context import bound_contextvars
from flowengine.observability.metrics import counted
from flowengine.observability.node_output import heard_by

log = structlog.stdlib.get_logger()

READ_AT_ONCE: Final = 16
"""So many outputs are read in one round trip, or those of one node: each may be a megabyte."""
CLEAN_UP_S: Final = 2.0
"""How long a handler may ignore the end of its time before nobody waits for it any more."""


class AsyncNodes:
    """Runs the nodes of async handlers for one worker process.

    `holding` is told of nodes that are dealt with, reported or not: their messages are held no longer.
    `reporter` reports them, on a thread of its own unless `reports_on_thread` is false.
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
        reports_on_thread: bool = True,
    ) -> None:
        self._store = store
        self._runner = runner
        self._invoker = invoker
        self._secrets = secrets
        self._speed = speed
        self._holding = holding
        self._passes_on = passes_on
        self._guard = threading.Lock()
        self._running: dict[int, AsyncNode] = {}
        self.reporter = AsyncReporter(runner, holding, self._forget, on_thread=reports_on_thread)

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
            if self._holding.keeps_too_much():
                self._holding.hand_back(known)
                return
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
            with bound_contextvars(**identity_of(task, each.delivery)):
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
        """Let go of handlers that ignore the end of their time, once it is reported. Call it now and then."""
        limit = time.monotonic() - CLEAN_UP_S
        for node in list(self._running.values()):
            if node.hand.deadline < limit:
                self._forsake(node)

    def _forsake(self, node: AsyncNode) -> None:
        if not node.forsaken:
            node.forsaken = True
            self._invoker.forsake(node.hand.task.handler)
        # The watchdog reports it. While it cannot, nobody else is to run the node, or to count it as a crash.
        if node.hand.taken and self._is_first_to_end(node):
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
        node = AsyncNode(hand, start, self._secrets.hiding(texts_to_hide(hand.task, start.given)))
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
            if not isinstance(call, Call):
                self._end(node, None, None)
                return
            self._holding.weigh(hand.held, kept_bytes(start, call.config))
            with heard_by(hand.output):
                self._invoker.begin(
                    call.handler, call.config, call.context, lambda ended: self._end(node, *ended)
                )
        except BaseException as error:  # noqa: BLE001 - the edge to users' code: it becomes the node's outcome
            self._end(node, None, error)

    def _is_first_to_end(self, node: AsyncNode) -> bool:
        with self._guard:
            first, node.is_over = not node.is_over, True
            return first

    def _end(self, node: AsyncNode, output: object, raised: BaseException | None) -> None:
        """It has ended; on the event loop's thread, which has other things to do than to report it."""
        if not self._is_first_to_end(node):
            return
        node.end(output, raised)
        # It is in time, however long it waits for the reporter: the watchdog must not look at it any more.
        self._runner.running.pop(id(node.hand), None)
        self.reporter.add(node)

    def _forget(self, node: AsyncNode) -> None:
        hand = node.hand
        node.hiding.__exit__(None, None, None)
        took_s = (node.ended_at or time.monotonic()) - hand.began
        self._speed.observe(hand.task.handler, took_s)
        counted.RUN.observe(took_s, hand.task.handler)
        self._running.pop(id(node), None)
        self._runner.running.pop(id(hand), None)


def _first_part(held: Sequence[Held[RunNode]]) -> tuple[Sequence[Held[RunNode]], Sequence[Held[RunNode]]]:
    """Those that begin in one round trip, and the others."""
    tasks = [each.payload for each in held]
    reads = accumulate(len(task.reads) + len(task.outer) + bool(task.given) for task in tasks)
    most = max(1, sum(1 for number in reads if number <= READ_AT_ONCE))
    return held[:most], held[most:]
