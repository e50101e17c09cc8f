"""What a refused request leaves behind in the API's memory: nothing, at once."""

from __future__ import annotations

import asyncio
import gc
import platform
import subprocess
import sys
import weakref

import pytest

from flowengine.api.edge.blocking_calls import BlockingCalls
from flowengine.errors import FlowEngineError

PROBE = """
from pathlib import Path
from flowengine.supervision.allocator import give_large_blocks_back

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

assert give_large_blocks_back()
bytes(8 << 20)  # from here on, glibc would keep blocks of this size
before = resident()
kept = []
for _ in range(20):
    block = bytearray(2 << 20)
    kept.append(bytearray(200_000))
    del block
print(resident() - before)
"""


class Body:
    """Something that takes memory."""


def test_a_failed_check_keeps_nothing_alive() -> None:
    """No circle of error, traceback and future: what the check held is gone without the collector."""

    async def fail() -> weakref.ref[Body]:
        calls, body = BlockingCalls(store_timeout_s=5), Body()

        def refuse(body: Body = body) -> None:
            raise FlowEngineError(f"refused {type(body).__name__}")

        held = weakref.ref(body)
        try:
            await calls.check(refuse)
        except FlowEngineError:
            del refuse, body
        calls.close()
        return held

    gc.collect()
    gc.disable()
    try:
        assert asyncio.run(fail())() is None
    finally:
        gc.enable()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator of glibc")
def test_large_blocks_go_back_to_the_system() -> None:
    """What is left are the small blocks that were kept, not the large ones between them."""
    ended = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    assert int(ended.stdout) < 20 * 200_000 * 1.5
