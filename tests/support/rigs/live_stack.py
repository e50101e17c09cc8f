"""A whole stack under real Dramatiq Workers in threads, each process of which can be struck or killed.

Processes are put together by the product's own code; only their connections are the tests', so that a
Gate may stop any of them at any command. A process that dies is replaced, as by a supervisor. Nothing here
hands messages back: a dead process's messages come back when their leases lapse.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final
from unittest import mock

import dramatiq
import msgspec
import redis

from flowengine import bootstrap
from flowengine.broker.broker import StreamsBroker
from flowengine.broker.timing import Timing
from flowengine.engine.executions import StoredExecutions
from flowengine.execution.views.executions import HealthView
from flowengine.orchestrator import process as orchestrator_process
from flowengine.plugin import Context
from flowengine.settings import Settings
from flowengine.store.api_state import RedisApiState
from flowengine.store.state import RedisState
from flowengine.worker import process as worker_process
from tests.support.faults import Gate, Line, ProcessDied
from tests.support.rigs.live_handlers import DOINGS

LEASE_S: Final = 0.4
HURRIED: Final = Timing(scan_every_s=0.05, retry_after_s=0.03)
"""What can be short is short."""
WAKE_MS: Final = 50
HANDLERS: Final = ("tests.support.rigs.live_handlers",)

_lines: dict[str, Line] = {}


def _connect(url: str) -> redis.Redis:
    return _lines[url].connect(url)


@contextmanager
def through_gates() -> Iterator[None]:
    """Connections pass the gates of their processes, and threads end quietly with a process that dies."""

    def mourn(end: threading.ExceptHookArgs) -> None:
        if not (end.exc_type and issubclass(end.exc_type, ProcessDied)):
            threading.__excepthook__(end)

    with (
        mock.patch.object(threading, "excepthook", mourn),
        mock.patch.object(bootstrap, "connect", _connect),
    ):
        yield


class Running:
    """One process: a Dramatiq Worker on its broker, over one line."""

    def __init__(
        self, line: Line, broker: StreamsBroker, *, threads: int, ends: Callable[[], None] = lambda: None
    ) -> None:
        self.line = line
        self.broker = broker
        self._ends = ends
        self.worker = dramatiq.Worker(broker, worker_threads=threads, worker_timeout=WAKE_MS)
        self.worker.start()

    def stop(self) -> None:
        """Stop it in good order, or clear away what is left of a dead one."""
        if self.line.dead:
            # Nothing of it may go on, and its last words would fail.
            self.broker.held_messages.stop()
            threads: list[Any] = [*self.worker.workers, *self.worker.consumers.values()]
            for thread in threads:
                thread.stop()
        else:
            with suppress(ProcessDied, redis.RedisError):
                self.worker.stop(timeout=5000)
        with suppress(ProcessDied, redis.RedisError):
            self.broker.close()
        self._ends()


class LiveStack:
    """An API, an orchestrator and a worker. Use within `through_gates()`.

    `doing` is called in the place of every handler, with the line of the worker that runs it. `strangers`: so
    many workers more, which do not know the handler.
    """

    def __init__(
        self,
        url: str,
        gate: Gate,
        doing: Callable[[Context, Line], None],
        *,
        max_deliveries: int = 10,
        timing: Timing = HURRIED,
        strangers: int = 0,
    ) -> None:
        self.deaths = 0
        self._timing = timing
        self._url = url
        self._max_deliveries = max_deliveries
        self._gate = gate
        self._serial = 0
        self._graves: list[threading.Thread] = []
        self._doing = doing
        self.api = self._start_api()
        self.orchestrator = self._start_orchestrator()
        self.strangers = [self._start_worker(handlers=()) for _ in range(strangers)]
        self.worker = self._start_worker()

    def close(self) -> None:
        """Stop everything."""
        for running in (self.orchestrator, *self.strangers, self.worker):
            running.stop()
        for grave in self._graves:
            grave.join()
        self._state.sessions.here().discard()
        for url in list(_lines):  # other stacks of this process come and go meanwhile
            if url.startswith(self._url + "?"):
                del _lines[url]
                DOINGS.pop(url, None)

    def replace_the_dead(self) -> None:
        """What a supervisor does."""
        if self.orchestrator.line.dead:
            self._bury(self.orchestrator)
            self.orchestrator = self._start_orchestrator()
        if self.worker.line.dead:
            self._bury(self.worker)
            self.worker = self._start_worker()
        for place, stranger in enumerate(self.strangers):
            if stranger.line.dead:
                self._bury(stranger)
                self.strangers[place] = self._start_worker(handlers=())
        if self._api_line.dead:
            self.deaths += 1
            self._state.sessions.here().discard()
            self.api = self._start_api()

    def wait(self, condition: Callable[[], object], *, within_s: float, what: str) -> None:
        """Until it holds; replaces the dead meanwhile."""
        deadline = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < deadline, f"{what}: not within {within_s} s"
            self.replace_the_dead()
            time.sleep(0.01)

    def _start_api(self) -> StoredExecutions:
        settings = self._settings("api")
        self._api_line = _lines[settings.redis_url]
        self._state: RedisState = bootstrap.build_state(settings)
        return StoredExecutions(RedisApiState(self._state), lambda: HealthView(status="ok", checks={}))

    def _start_orchestrator(self) -> Running:
        settings = self._settings("orchestrator")
        broker = orchestrator_process.build(settings, self._timing)
        return Running(_lines[settings.redis_url], broker, threads=2)

    def _start_worker(self, handlers: tuple[str, ...] = HANDLERS) -> Running:
        settings = msgspec.structs.replace(self._settings("worker"), handlers=handlers)
        line = _lines[settings.redis_url]
        # Known before the worker runs: it may take a message before anyone can ask the stack for it.
        DOINGS[settings.redis_url] = lambda context: self._doing(context, line)
        parts = worker_process.build(
            settings, {"WORKER": settings.redis_url}, threading.Event(), self._timing
        )

        def ends() -> None:
            parts.watchdog.end()
            parts.invoker.close()

        return Running(line, parts.broker, threads=2, ends=ends)

    def _settings(self, name: str) -> Settings:
        self._serial += 1
        url = f"{self._url}?client_name={name}-{self._serial}"
        _lines[url] = Line(f"{name}-{self._serial}", self._gate)
        return msgspec.structs.replace(
            Settings(),
            redis_url=url,
            lease_s=LEASE_S,
            max_deliveries=self._max_deliveries,
            handlers=HANDLERS,
        )

    def _bury(self, running: Running) -> None:
        self.deaths += 1
        grave = threading.Thread(target=running.stop, daemon=True)
        grave.start()
        self._graves.append(grave)
