"""Who gets a thread of the API when many ask at once."""

from __future__ import annotations

import asyncio
import threading

from flowengine.api.edge.blocking_calls import STORE_THREADS, BlockingCalls


def test_hundreds_who_begin_to_watch_keep_nobody_else_waiting() -> None:
    """They have threads of their own, so that `/health`, say, finds one at once."""

    async def scene() -> None:
        calls, answer = BlockingCalls(store_timeout_s=30.0), threading.Event()
        try:
            watching = [asyncio.create_task(calls.watch(answer.wait)) for _ in range(10 * STORE_THREADS)]
            await asyncio.sleep(0)
            assert await calls.store(lambda: "healthy") == "healthy"
            assert not any(task.done() for task in watching)
            answer.set()
            assert all(await asyncio.gather(*watching))
        finally:
            answer.set()
            calls.close()

    asyncio.run(scene())
