"""Processes lone quick messages on the thread that has fetched them.

To hand a message to another thread costs more than a quick message takes: the two threads wake each other and
compete for the interpreter lock. Decides which messages the fetching thread processes itself. While it is at
one that takes long, a standby thread fetches in its place, and hands what it gets to Dramatiq's threads.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from queue import PriorityQueue
from threading import Event, Thread
from typing import Any

import structlog
from dramatiq.worker import Worker, WorkerThread

from flowengine.broker.delivery import Delivery
from flowengine.broker.policy import Policies
from flowengine.broker.timing import TIMING, Timing
from flowengine.heuristics import LONE_IN_A_ROW

log = structlog.stdlib.get_logger(__name__)


class _NoQueue(PriorityQueue[Any]):
    """Dramatiq's thread counts off what it takes from a queue. What is processed here was in none."""

    def task_done(self) -> None:
        pass


class InlineProcessor:
    """Processes messages on the thread of one consumer. That thread calls `suits` and `process`.

    `fetch` returns the next delivery, or None after at most about a second. The standby thread calls it, only
    while the consumer's thread is at a message that takes long.
    """

    def __init__(
        self,
        queue: str,
        policies: Policies,
        fetch: Callable[[], Delivery | None],
        timing: Timing = TIMING,
    ) -> None:
        self._queue = queue
        self._timing = timing
        self._policies = policies
        self._fetch = fetch
        self._lone_in_a_row = 0
        self._processed = 0
        self._since: float | None = None
        self._watched = False
        self._called = Event()
        self._ended = False
        self._worker: Worker | None = None
        self._thread: WorkerThread | None = None

    def suits(self, delivery: Delivery, *, alone: bool) -> bool:
        """Whether this thread should process it. To be asked about every delivery.

        `alone`: this process holds nothing else.
        """
        first = delivery.entries[0]
        if not alone or not delivery.engine or len(delivery.entries) > 1 or first.deliveries > 1:
            self._lone_in_a_row = 0
            return False
        self._lone_in_a_row += 1
        policy = self._policies.get(first.actor)
        if self._lone_in_a_row <= LONE_IN_A_ROW or policy is None or policy.is_quick is None:
            return False
        return policy.is_quick(first.payload or b"")

    def process(self, delivery: Delivery, worker: Worker) -> None:
        """Do here what `worker`'s threads do with a message."""
        thread = self._thread
        if thread is None:
            thread = self._thread = WorkerThread(
                broker=worker.broker, consumers=worker.consumers, work_queue=_NoQueue(), worker_timeout=0
            )
        self._processed += 1
        self._since = time.monotonic()
        try:
            if not self._watched:
                self._call_standby(worker)
            thread.process_message(delivery)
        finally:
            self._since = None

    def end(self) -> None:
        """Nothing is processed here any more."""
        self._ended = True
        self._called.set()

    # -- the standby thread: sleeps until it is called, then looks now and then while messages come

    def _call_standby(self, worker: Worker) -> None:
        self._watched = True
        if self._worker is None:
            self._worker = worker
            Thread(target=self._stand_by, name=f"standby-{self._queue}", daemon=True).start()
        self._called.set()

    def _stand_by(self) -> None:
        while self._called.wait():
            self._called.clear()
            if self._ended:
                return
            self._watch()
            self._watched = False
            if self._since is not None:
                # A message began after the last look, while `_watched` still said that somebody looks.
                self._watched = True
                self._called.set()

    def _watch(self) -> None:
        """Look until no message was processed between two looks."""
        seen = -1
        while seen != self._processed and not self._ended:
            seen = self._processed
            time.sleep(self._timing.fetcher_busy_s)
            try:
                while self._takes_long():
                    self._fetch_for_others()
            except Exception:  # the thread's edge: without it one slow message would stop the whole queue
                log.error("broker.standby_failed", queue=self._queue, exc_info=True)
                time.sleep(self._timing.standby_rest_s)

    def _takes_long(self) -> bool:
        since = self._since
        if since is None or self._ended:
            return False
        return time.monotonic() - since > self._timing.fetcher_busy_s

    def _fetch_for_others(self) -> None:
        delivery = self._fetch()
        if delivery is not None and self._worker is not None:
            self._worker.consumers[self._queue].handle_message(delivery)
