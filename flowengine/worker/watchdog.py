"""Watches over deadlines that a handler does not keep by itself, and over leases that were lost.

A thread cannot be killed. A handler that is past its node's deadline has its node reported as timed
out at once. If its thread has not come back after the grace as well, the process counts as sick: it takes
nothing new, lets its other nodes finish, and ends, while its supervisor starts another (see `draining`).

The same holds for the event loop: while a handler blocks it, no async handler of the process goes on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from flowengine.engine.running.asynchronous.async_nodes import AsyncNodes
from flowengine.engine.running.node_identity import identity_of
from flowengine.engine.running.quick_group import QuickGroups
from flowengine.engine.running.runner import Runner
from flowengine.engine.running.task_in_hand import TaskInHand
from flowengine.errors import StoreUnavailableError
from flowengine.execution.error_codes import TIMEOUT
from flowengine.execution.records import NodeError
from flowengine.execution.reports import Failed
from flowengine.observability.log_context import bound_contextvars
from flowengine.worker.draining import Draining

log = structlog.stdlib.get_logger()

EVERY_S = 0.5
MARGIN_S = 0.25


class Watchdog(threading.Thread):
    """Runs until `end`, also while the process drains. Looks at every running node each `every_s` seconds.

    `loop_silent_s` says for how long the event loop has been blocked. When a thread or the loop is lost, the
    watchdog begins `draining` and sets `stop` once that is over. Without `draining` nobody would replace the
    process, and it goes on.
    """

    def __init__(
        self,
        runner: Runner,
        groups: QuickGroups,
        grace_s: float,
        stop: threading.Event,
        *,
        nodes: AsyncNodes | None = None,
        draining: Draining | None = None,
        loop_silent_s: Callable[[], float] = lambda: 0.0,
        every_s: float = EVERY_S,
    ) -> None:
        super().__init__(name="watchdog", daemon=True)
        self._runner = runner
        self._groups = groups
        self._nodes = nodes
        self._grace_s = grace_s
        self._stop_event = stop
        self._draining = draining
        self._loop_silent_s = loop_silent_s
        self._every_s = every_s
        self._ended = threading.Event()
        self.lost = False
        self.drained = False

    def end(self) -> None:
        """Let the thread end; from any thread."""
        self._ended.set()

    def run(self) -> None:
        """Look at every running node, again and again."""
        while not self._ended.wait(self._every_s):
            try:
                hands = list(self._runner.running.values())
                for hand in hands:
                    self._look(hand)
                if self._nodes is not None:
                    self._nodes.look()
                self._look_at_loop()
                self._runner.starts.note_those_that_last(hands)
                self._runner.stops.deliver(hands)
                self._runner.outputs.flush(hands)
                self._groups.relieve()
                self._end_if_drained()
            except StoreUnavailableError as error:
                log.warning("watchdog.store_unavailable", error=str(error))
            except Exception:  # the thread's edge: without it nobody here would keep deadlines any more
                log.error("watchdog.turn_failed", exc_info=True)

    def _look(self, hand: TaskInHand) -> None:
        if hand.held.is_lost and not hand.cancellation.requested:
            log.info("node.lease_lost", execution_id=hand.task.execution, node_id=hand.task.node)
            hand.cancellation.request()
        late = time.monotonic() - hand.deadline
        if late > MARGIN_S and not hand.taken:
            self._report(hand)
        if late > self._grace_s and hand.holds_thread and self._may_give_up():
            log.error("worker.thread_lost", node_id=hand.task.node, handler=hand.task.handler, late_s=late)
            self._give_up()

    def _look_at_loop(self) -> None:
        silent_s = self._loop_silent_s()
        if silent_s > self._grace_s and self._may_give_up():
            log.error("worker.event_loop_lost", silent_s=silent_s)
            self._give_up()

    def _may_give_up(self) -> bool:
        return not self.lost and not self._stop_event.is_set()

    def _give_up(self) -> None:
        self.lost = True
        if self._draining is not None:
            self._draining.begin(self._grace_s)

    def _end_if_drained(self) -> None:
        if self.lost and not self.drained and self._draining is not None and self._draining.is_over():
            self.drained = True
            self._stop_event.set()

    def _report(self, hand: TaskInHand) -> None:
        message = (
            f"the handler '{hand.task.handler}' did not return within timeout_seconds "
            f"({hand.task.timeout_ms / 1000:g} s)"
        )
        try:
            with bound_contextvars(**identity_of(hand.task, hand.delivery)):
                self._runner.report(hand, Failed(NodeError(TIMEOUT.code, message)))
        except StoreUnavailableError as error:
            log.warning("watchdog.store_unavailable", error=str(error))
