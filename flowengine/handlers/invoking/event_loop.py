"""One event loop for all async handlers of a process, on a thread of its own that starts when needed."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

ResultT = TypeVar("ResultT")


class EventLoopThread:
    """Runs coroutines for other threads, with the context variables of the submitting thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._asked_at: float | None = None

    def submit(self, coroutine: Coroutine[Any, Any, ResultT]) -> Future[ResultT]:
        """Start a coroutine on the loop; the future has its result. Raises RuntimeError once closed."""
        try:
            loop = self._running_loop()
        except RuntimeError:
            coroutine.close()
            raise
        return asyncio.run_coroutine_threadsafe(coroutine, loop)

    def soon(self, call: Callable[[], None]) -> None:
        """Call this on the loop, behind the first steps of what it was given before; here if it is closed."""
        try:
            loop = self._running_loop()
            loop.call_soon_threadsafe(loop.call_soon, call)
        except RuntimeError:
            call()

    def ask(self) -> None:
        """Have the loop show that it still turns: a handler may block it."""
        if self._asked_at is None and self._loop is not None:
            self._asked_at = time.monotonic()
            with contextlib.suppress(RuntimeError):  # it is closed
                self._loop.call_soon_threadsafe(self._answer)

    def silent_s(self) -> float:
        """For how long it has not answered, in seconds. 0.0 if it was not asked, or has answered."""
        asked_at = self._asked_at
        return 0.0 if asked_at is None else time.monotonic() - asked_at

    def _answer(self) -> None:
        self._asked_at = None

    def close(self, timeout_s: float = 5.0) -> None:
        """Cancel everything that runs, stop the loop, and wait at most `timeout_s` for its thread."""
        with self._lock:
            self._stopping = True
            loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout_s)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._stopping:
                raise RuntimeError("the event loop of async handlers is closed")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._serve, args=(self._loop,), name="flowengine-async", daemon=True
                )
                self._thread.start()
            return self._loop

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        while not self._stopping:
            # A task of a handler's own that calls sys.exit ends run_forever; the other handlers go on.
            with contextlib.suppress(SystemExit, KeyboardInterrupt):
                loop.run_forever()
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            with contextlib.suppress(SystemExit, KeyboardInterrupt):
                loop.run_until_complete(asyncio.wait(tasks, timeout=2.0))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
