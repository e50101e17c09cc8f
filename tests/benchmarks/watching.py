"""`python -m tests.benchmarks.watching [SECONDS]`: many who watch, and a node that says much.

Of one API process: 500 readers of one execution and 200 executions watched at once, for SECONDS (60), each
connection cut now and then. It tells whether a reader lost an event or got one twice, how long `/health` took
meanwhile, and the memory of the process. Before that: how long a quick node takes, from queued to finished,
beside a node that logs 10,000 lines, and without it.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from tests.e2e.documents import node, workflow
from tests.support.rigs.stack_processes import Stack, running_stack

READERS: Final = 500
EXECUTIONS: Final = 200
CUT_AFTER_S: Final = (5.0, 30.0)
LINES: Final = 10_000
QUICK: Final = 60


class Reader:
    """One who watches an execution to its end, over connections that are cut."""

    def __init__(self, stack: Stack, execution: str) -> None:
        self.host, _, port = stack.url.removeprefix("http://").partition(":")
        self.port = int(port)
        self.execution = execution
        self.ids: list[str] = []
        self.connections = 0
        self.refused = 0

    async def read(self) -> None:
        """Until the stream ends by itself."""
        while not await self._once(random.uniform(*CUT_AFTER_S)):
            pass

    async def _once(self, within_s: float) -> bool:
        """One connection; whether the stream has ended."""
        self.connections += 1
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            last = f"Last-Event-ID: {self.ids[-1]}\r\n" if self.ids else ""
            writer.write(
                f"GET /workflows/{self.execution}/events HTTP/1.1\r\nHost: {self.host}:{self.port}\r\n"
                f"Accept: text/event-stream\r\n{last}\r\n".encode()
            )
            async with asyncio.timeout(within_s):
                head = await reader.readuntil(b"\r\n\r\n")
                if b" 200 " not in head.split(b"\r\n", 1)[0]:
                    self.refused += 1
                    await asyncio.sleep(0.5)
                    return False
                while True:
                    size = int((await reader.readuntil(b"\r\n")).strip(), 16)
                    chunk = await reader.readexactly(size + 2)
                    if size == 0:
                        return True
                    self.ids += [
                        line[4:].decode() for line in chunk[:-2].split(b"\n") if line.startswith(b"id: ")
                    ]
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
            return False
        finally:
            writer.close()


def main(arguments: Sequence[str]) -> int:
    """Measure and print."""
    seconds = float(arguments[0]) if arguments else 60.0
    settings = {"FLOWENGINE_HANDLERS": "tests.benchmarks.watched_handlers"}
    with running_stack(settings=settings) as stack:
        _neighbours(stack)
        _watched(stack, seconds)
    return 0


def _watched(stack: Stack, seconds: float) -> None:
    steps = 40
    chain = _chain(steps, seconds / steps)
    one = stack.start(workflow(*chain))
    many = [stack.start(workflow(*chain[:4])) for _ in range(EXECUTIONS)]
    readers = [*(Reader(stack, one) for _ in range(READERS)), *(Reader(stack, each) for each in many)]
    waits: list[float] = []
    asyncio.run(_run(stack, readers, waits))
    events = {each: _events(stack, each) for each in (one, *many)}
    wrong = sum(_known(reader.ids) != events[reader.execution] for reader in readers)
    status = Path(f"/proc/{stack.only('api').pid}/status").read_text()
    peak = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    tell = sys.stdout.write
    tell(f"readers of one execution {READERS}, of {EXECUTIONS} others one each, for {seconds:.0f} s\n")
    refused = sum(reader.refused for reader in readers)
    tell(f"connections {sum(reader.connections for reader in readers)}, refused {refused}\n")
    tell(f"readers that lost an event or got one twice: {wrong} of {len(readers)}\n")
    tell(f"/health ms: median {statistics.median(waits):.0f}, most {max(waits):.0f} of {len(waits)}\n")
    tell(f"memory of the API at its highest: {int(peak) / 1024:.0f} MiB\n")


def _known(ids: list[str]) -> list[str]:
    """Without progress, which stands in a stream of its own."""
    return [each for each in ids if not each.endswith((".live", ".logs"))]


async def _run(stack: Stack, readers: Sequence[Reader], waits: list[float]) -> None:
    probe = asyncio.create_task(_probe(stack, waits))
    await asyncio.gather(*(reader.read() for reader in readers))
    probe.cancel()


async def _probe(stack: Stack, waits: list[float]) -> None:
    def ask() -> float:
        began = time.monotonic()
        assert stack.client.get("/health").status_code == 200
        return (time.monotonic() - began) * 1000

    while True:
        waits.append(await asyncio.to_thread(ask))
        await asyncio.sleep(0.2)


def _events(stack: Stack, execution: str) -> list[str]:
    page: dict[str, Any] = stack.client.get(f"/workflows/{execution}/events?limit=500").json()
    return [item["id"] for item in page["items"]]


def _neighbours(stack: Stack) -> None:
    alone = _quick(stack)
    chatty = stack.start(workflow(node("chatty", "chats", count=LINES)))
    beside = _quick(stack)
    stack.ended(chatty)
    page: dict[str, Any] = stack.client.get(f"/workflows/{chatty}/logs?limit=1").json()
    tell = sys.stdout.write
    tell(
        f"quick nodes, p95 ms from queued to finished: alone {alone:.1f}, beside {LINES} lines {beside:.1f}, "
    )
    tell(f"ratio {beside / alone:.2f}; the cut is marked: {page.get('cut')}\n")


def _quick(stack: Stack) -> float:
    """95th percentile of the milliseconds from queued to finished of nodes that follow one another."""
    ended = stack.ended(stack.start(workflow(*_chain(QUICK, 0.0))))
    nodes = ended.status["nodes"]
    spans = [_ms(each["finished_at"]) - _ms(each["queued_at"]) for each in nodes]
    return statistics.quantiles(spans, n=20)[-1]


def _chain(count: int, seconds: float) -> list[dict[str, Any]]:
    """Nodes that follow one another, of so many seconds each."""
    return [
        node(f"n{at}", "takes", after=[f"n{at - 1}"] if at else [], seconds=seconds) for at in range(count)
    ]


def _ms(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp() * 1000


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
