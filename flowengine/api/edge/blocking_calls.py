"""Blocking work in threads, with a time limit, so that a call that hangs does not hang the API."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from flowengine.api.edge.problem_documents import RefusalError
from flowengine.errors import StoreFullError, StoreUnavailableError, UnfitServerError

T = TypeVar("T")

STORE_THREADS: Final = 16
WATCH_THREADS: Final = 2
RESULTS_THREADS: Final = 2
CHECK_THREADS: Final = 2
COMPRESS_THREADS: Final = 2
CHECK_S: Final = 30.0


class BlockingCalls:
    """Five pools of threads: for the store, for those who begin to watch, for results, which may be large,
    for checking workflows, which takes CPU and memory, and for compressing large answers.

    Threads are started when first needed. A call that runs out of time is abandoned: its thread goes on
    until the store's own time limit, and what it changes stays changed.
    """

    def __init__(self, *, store_timeout_s: float) -> None:
        self._store_timeout_s = store_timeout_s
        self._store = ThreadPoolExecutor(STORE_THREADS, thread_name_prefix="api-store")
        self._watch = ThreadPoolExecutor(WATCH_THREADS, thread_name_prefix="api-watch")
        self._results = ThreadPoolExecutor(RESULTS_THREADS, thread_name_prefix="api-results")
        self._check = ThreadPoolExecutor(CHECK_THREADS, thread_name_prefix="api-check")
        self._compress = ThreadPoolExecutor(COMPRESS_THREADS, thread_name_prefix="api-compress")

    async def store(self, work: Callable[[], T]) -> T:
        """Run a call to the store. Raises StoreUnavailableError when it takes too long."""
        return await self._call(self._store, work)

    async def watch(self, work: Callable[[], T]) -> T:
        """Run a call to the store for somebody who begins to watch, or is behind. Raises as `store`.

        Threads take what they are given in turn: hundreds who come in one moment would keep all else waiting,
        `/health` too.
        """
        return await self._call(self._watch, work)

    async def results(self, work: Callable[[], T]) -> T:
        """Run a call that may read megabytes from the store; few run at once. Raises as `store`."""
        return await self._call(self._results, work)

    async def check(self, work: Callable[[], T]) -> T:
        """Run a check of a workflow. Raises StoreUnavailableError when too many other checks wait."""
        return await _run(self._check, work, CHECK_S, "Too many workflows wait to be checked.")

    async def compress(self, work: Callable[[], T]) -> T:
        """Compress a piece. Without a time limit: all that waits is in the budget of large answers, a few
        seconds of work."""
        return await asyncio.get_running_loop().run_in_executor(self._compress, work)

    def close(self) -> None:
        """Start nothing more. Does not wait for what runs."""
        for pool in (self._store, self._watch, self._results, self._check, self._compress):
            pool.shutdown(wait=False, cancel_futures=True)

    async def _call(self, pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        limit = self._store_timeout_s
        return await _run(pool, work, limit, f"Redis did not answer within {limit:g} s.")


@contextlib.contextmanager
def outcome_unknown(advice: str | Callable[[], str]) -> Iterator[None]:
    """Around a change in the store: a caller whose change may have been made is told how to find out. The
    `advice` may be known only then.

    Raises RefusalError for a StoreUnavailableError: an abandoned call may still make its change, and so may a
    transaction whose answer got lost. A full store, or one that is not fit for it, has refused it for
    certain.
    """
    try:
        yield
    except (StoreFullError, UnfitServerError):
        raise
    except StoreUnavailableError as error:
        told = advice if isinstance(advice, str) else advice()
        raise RefusalError(error.code, f"{str(error).rstrip('.')}. {told}") from error


async def _run(pool: ThreadPoolExecutor, work: Callable[[], T], limit_s: float, late: str) -> T:
    context = contextvars.copy_context()
    running = asyncio.get_running_loop().run_in_executor(pool, lambda: context.run(work))
    try:
        done, _ = await asyncio.wait([running], timeout=limit_s)
        if done:
            return running.result()
        running.add_done_callback(_take_error)
        running.cancel()
        raise StoreUnavailableError(late)
    finally:
        # The call's error has a traceback, which holds this frame, which holds the error. That circle would
        # keep the request's body, up to 12 MiB, until the garbage collector runs.
        done = set()
        del running


def _take_error(future: asyncio.Future[T]) -> None:
    if not future.cancelled():
        future.exception()
