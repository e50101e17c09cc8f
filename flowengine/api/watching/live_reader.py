"""Reads what is watched, for all watchers of a process together, and gives each what is new to it.

Each watcher first reads what lies behind its own place. Once it has reached what the common reader has read,
it joins: from then on it is given what the reader finds, five times a second. One that does not take it in
time is put behind, and reads by itself again: a slow watcher costs nobody else anything. Runs on the API's
event loop; calls to the store run in threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Final

import structlog

from flowengine.engine.ports import Cursor, Seen
from flowengine.errors import FlowEngineError
from flowengine.execution.history.live import Message
from flowengine.execution.history.places import LivePlace

EVERY_S: Final = 0.2
AFTER_FAILURE_S: Final = 1.0
ASK_EVERY: Final = 25
"""Turns after which it is asked whether an execution has ended of which no end was read."""
MOST_WAITING_BYTES: Final = 1024 * 1024
"""What may wait for one watcher. Watchers of one execution share it."""
MOST_WATCHERS: Final = 750
"""Of a process: others need connections too."""

Look = Callable[[Sequence[Cursor]], Awaitable[Sequence[Seen]]]

log = structlog.stdlib.get_logger()


class Watcher:
    """One who watches. `after`: the place that it has reached."""

    def __init__(self, execution: str, after: LivePlace, *, lines: bool) -> None:
        self.execution = execution
        self.after = after
        self.lines = lines
        self.is_behind = False
        self.ended = False
        self._waiting: list[Message] = []
        self._size = 0
        self._something = asyncio.Event()

    def give(self, messages: Sequence[Message], *, ended: bool) -> None:
        """Put what is new to it where it finds it; too much of that is dropped, and it is behind."""
        for message in messages:
            if message.place > self.after and (self.lines or message.name != "line") and not self.is_behind:
                self._waiting.append(message)
                self._size += len(message.data)
        if self._size > MOST_WAITING_BYTES:
            self._waiting, self._size, self.is_behind = [], 0, True
        self.ended |= ended and not self.is_behind
        if self._waiting or self.is_behind or self.ended:
            self._something.set()

    async def take(self, within_s: float) -> list[Message]:
        """What was given, once there is something; nothing when the time is over."""
        try:
            async with asyncio.timeout(within_s):
                await self._something.wait()
        except TimeoutError:
            return []
        self._something.clear()
        taken, self._waiting, self._size = self._waiting, [], 0
        return taken


class _Channel:
    """What is watched by several: all of them are given what lies behind `after`."""

    def __init__(self, after: LivePlace) -> None:
        self.after = after
        self.watchers: set[Watcher] = set()
        self.may_have_ended = False

    def cursor(self, execution: str, turn: int) -> Cursor:
        lines = any(watcher.lines for watcher in self.watchers)
        asks = bool(execution) and (self.may_have_ended or turn % ASK_EVERY == 0)
        return Cursor(execution, self.after, lines=lines, asks=asks)


class LiveReader:
    """The common reader of a process. `look` reads what lies behind places, `catch_up` the same for one who
    reads by itself: there may be hundreds of these."""

    def __init__(
        self,
        look: Look,
        catch_up: Look | None = None,
        *,
        every_s: float = EVERY_S,
        most: int = MOST_WATCHERS,
    ) -> None:
        self._look = look
        self._catch_up = catch_up or look
        self._every_s = every_s
        self._most = most
        self._channels: dict[str, _Channel] = {}
        self._count = 0
        self._turn = 0
        self._reading: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def count(self) -> int:
        """How many watch."""
        return self._count

    @property
    def is_full(self) -> bool:
        """Whether nobody more may watch."""
        return self._count >= self._most or self._closed

    async def messages(
        self, watcher: Watcher, first: Seen, keep_alive_s: float
    ) -> AsyncGenerator[list[Message]]:
        """What the watcher is told, in order, once each, until nothing can follow. `first`: what was read
        behind its place. Empty lists come where nothing has happened for `keep_alive_s` seconds."""
        self._count += 1
        try:
            seen = first
            while not self._closed:
                if seen.messages:
                    yield list(seen.messages)
                watcher.after = max(watcher.after, seen.after)
                if seen.ended:
                    return
                if not seen.more and self._join(watcher):
                    async for told in self._joined(watcher, keep_alive_s):
                        yield told
                    if watcher.ended:
                        return
                cursor = Cursor(watcher.execution, watcher.after, watcher.lines, bool(watcher.execution))
                (seen,) = await self._catch_up([cursor])
        finally:
            self._count -= 1
            self._leave(watcher)

    def close(self) -> None:
        """Let all streams end: the process stops."""
        self._closed = True
        for channel in self._channels.values():
            for watcher in channel.watchers:
                watcher.give((), ended=True)

    async def _joined(self, watcher: Watcher, keep_alive_s: float) -> AsyncGenerator[list[Message]]:
        """What the common reader finds, until the watcher is behind or the end is reached."""
        while not watcher.is_behind:
            told = await watcher.take(keep_alive_s)
            if told or not watcher.ended:
                yield told
            if told:
                watcher.after = told[-1].place
            if watcher.ended and not watcher.is_behind:
                return
        self._leave(watcher)
        watcher.is_behind = False

    def _join(self, watcher: Watcher) -> bool:
        """Whether it has reached what was read for all, and is given what follows."""
        channel = self._channels.get(watcher.execution)
        if channel is None:
            channel = self._channels[watcher.execution] = _Channel(watcher.after)
        elif channel.after > watcher.after:
            return False
        channel.watchers.add(watcher)
        if self._reading is None or self._reading.done():
            self._reading = asyncio.get_running_loop().create_task(self._read())
        return True

    def _leave(self, watcher: Watcher) -> None:
        channel = self._channels.get(watcher.execution)
        if channel is not None:
            channel.watchers.discard(watcher)
            if not channel.watchers:
                del self._channels[watcher.execution]

    async def _read(self) -> None:
        """Turn by turn, while somebody watches."""
        while self._channels and not self._closed:
            pause = self._every_s
            try:
                if await self._read_once():
                    pause = 0.0
            except FlowEngineError as error:
                log.warning("live.store_unavailable", error=str(error))
                pause = AFTER_FAILURE_S
            await asyncio.sleep(pause)

    async def _read_once(self) -> bool:
        """One turn; whether there is more to be read at once."""
        self._turn += 1
        channels = dict(self._channels)
        cursors = [channel.cursor(execution, self._turn) for execution, channel in channels.items()]
        more = False
        for channel, seen in zip(channels.values(), await self._look(cursors), strict=True):
            channel.after = seen.after
            channel.may_have_ended = _speaks_of_an_end(seen) or (channel.may_have_ended and not seen.ended)
            more |= seen.more
            for watcher in list(channel.watchers):
                watcher.give(seen.messages, ended=seen.ended)
        return more


def _speaks_of_an_end(seen: Seen) -> bool:
    return any(
        message.name == "event" and b'"execution_finished"' in message.data for message in seen.messages
    )
