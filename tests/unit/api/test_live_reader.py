"""The common reader of those who watch: each is told everything once, and nobody waits for another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence

import pytest

from flowengine.api.watching.live_reader import LiveReader, Watcher
from flowengine.engine.ports import Cursor, Seen
from flowengine.errors import StoreUnavailableError
from flowengine.execution.history.live import Message, Name
from flowengine.execution.history.places import LIVE_START, LivePlace, end_of

PAGE = 3
KEEP_ALIVE_S = 30.0


def place(number: int) -> LivePlace:
    return LivePlace(number, 0, 0, 0)


class Store:
    """Numbered messages of executions; a look gives PAGE of them."""

    def __init__(self) -> None:
        self.told: dict[str, list[Message]] = {}
        self.ended: set[str] = set()
        self.looks: list[int] = []
        self.down = False
        self.size = 1

    def say(self, execution: str, *, name: Name = "event") -> int:
        """One message more; returns its number."""
        listed = self.told.setdefault(execution, [])
        listed.append(Message(place(len(listed) + 1), name, b"x" * self.size))
        return len(listed)

    async def look(self, cursors: Sequence[Cursor]) -> list[Seen]:
        await asyncio.sleep(0)
        self.looks.append(len(cursors))
        if self.down:
            raise StoreUnavailableError("away")
        return [self._seen(cursor) for cursor in cursors]

    def _seen(self, cursor: Cursor) -> Seen:
        listed = self.told.get(cursor.execution, [])
        left = [message for message in listed if message.place > cursor.after]
        more = len(left) > PAGE
        after = left[PAGE - 1].place if more else max(cursor.after, end_of(len(listed)))
        ended = cursor.execution in self.ended and not more
        return Seen(left[:PAGE], after, more=more, ended=ended and cursor.asks, is_there=True)


@pytest.fixture
def store() -> Store:
    return Store()


def reader_over(store: Store) -> LiveReader:
    return LiveReader(store.look, every_s=0.001)


async def watch(
    reader: LiveReader, store: Store, execution: str, after: LivePlace = LIVE_START, *, lines: bool = False
) -> AsyncGenerator[int]:
    """The numbers that a watcher is told."""
    watcher = Watcher(execution, after, lines=lines)
    (first,) = await store.look([Cursor(execution, after, lines)])
    async for messages in reader.messages(watcher, first, KEEP_ALIVE_S):
        for message in messages:
            yield message.place.milliseconds


async def until(condition: Callable[[], object]) -> None:
    """Once it holds."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


def joined(reader: LiveReader, execution: str = "x") -> int:
    """How many are given what the common reader finds."""
    channel = reader._channels.get(execution)
    return 0 if channel is None else len(channel.watchers)


async def collected(told: AsyncGenerator[int], until: int | None = None) -> list[int]:
    """What is told, up to a number, or to the end."""
    found = []
    async for number in told:
        found.append(number)
        if number == until:
            await told.aclose()
    return found


@pytest.mark.proves("watchers-cut")
def test_all_that_happens_is_told_once_from_any_place(store: Store) -> None:
    """Watchers join at any moment and place, while more happens, and again behind what they have."""

    async def scene() -> None:
        reader = reader_over(store)
        for _ in range(20):
            store.say("x")
        watching = []
        for number in range(20):
            told = watch(reader, store, "x", place(number % 7))
            watching.append(asyncio.create_task(collected(told, until=30 + number)))
            store.say("x")
            await asyncio.sleep(0)
        for _ in range(60):
            store.say("x")
            await asyncio.sleep(0)
        store.ended.add("x")
        for number, task in enumerate(watching):
            found = await task
            assert found == list(range(number % 7 + 1, 31 + number))
            again = await collected(watch(reader, store, "x", place(found[-1])))
            assert again == list(range(31 + number, 101))

    asyncio.run(scene())


def test_many_watchers_are_read_for_together(store: Store) -> None:
    """A turn of the reader asks once for each execution that is watched, however many watch it."""

    async def scene() -> None:
        reader = reader_over(store)
        tasks = [
            asyncio.create_task(collected(watch(reader, store, f"x{number % 2}"))) for number in range(50)
        ]
        await until(lambda: joined(reader, "x0") == joined(reader, "x1") == 25)
        store.looks.clear()
        await until(lambda: len(store.looks) > 5)
        assert set(store.looks) == {2}
        for number in range(2):
            store.say(f"x{number}")
            store.ended.add(f"x{number}")
        assert await asyncio.gather(*tasks) == [[1]] * 50

    asyncio.run(scene())


@pytest.mark.proves("slow-watcher")
def test_a_watcher_that_does_not_take_what_it_is_given_reads_it_later(store: Store) -> None:
    """Little lies in memory for it, it loses nothing, and others are told meanwhile."""
    store.size = 300_000

    async def scene() -> None:
        reader = reader_over(store)
        slow = watch(reader, store, "x")
        store.say("x")
        assert await anext(slow) == 1
        following = asyncio.create_task(anext(slow))
        await until(lambda: joined(reader))
        quick = asyncio.create_task(collected(watch(reader, store, "x"), until=41))
        await until(lambda: joined(reader) == 2)
        store.say("x")
        assert await following == 2
        for _ in range(39):
            wanted = len(store.looks) + 2
            store.say("x")
            while len(store.looks) < wanted:
                await asyncio.sleep(0)
        assert await quick == list(range(1, 42))
        (channel,) = reader._channels.values()
        (watcher,) = channel.watchers
        assert watcher.is_behind
        assert watcher._waiting == []
        store.ended.add("x")
        assert await collected(slow) == list(range(3, 42))

    asyncio.run(scene())


def test_lines_are_told_to_those_who_want_them(store: Store) -> None:
    """Others watch the same execution without."""

    async def scene() -> None:
        reader = reader_over(store)
        without = asyncio.create_task(collected(watch(reader, store, "x")))
        with_lines = asyncio.create_task(collected(watch(reader, store, "x", lines=True)))
        await until(lambda: joined(reader) == 2)
        store.say("x")
        store.say("x", name="line")
        store.say("x")
        store.ended.add("x")
        assert await without == [1, 3]
        assert await with_lines == [1, 2, 3]

    asyncio.run(scene())


def test_an_outage_is_waited_for(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams stay open, and go on where they were."""
    monkeypatch.setattr("flowengine.api.watching.live_reader.AFTER_FAILURE_S", 0.001)

    async def scene() -> None:
        reader = reader_over(store)
        told = asyncio.create_task(collected(watch(reader, store, "x")))
        await until(lambda: joined(reader))
        store.down = True
        looked = len(store.looks)
        await until(lambda: len(store.looks) > looked + 2)
        store.say("x")
        store.ended.add("x")
        store.down = False
        assert await told == [1]

    asyncio.run(scene())


def test_nobody_is_read_for_who_has_left(store: Store) -> None:
    """The reader stops with its last watcher."""

    async def scene() -> None:
        reader = reader_over(store)
        store.say("x")
        told = asyncio.create_task(collected(watch(reader, store, "x")))
        await until(lambda: joined(reader))
        told.cancel()
        await asyncio.gather(told, return_exceptions=True)
        await until(lambda: not reader._channels and not reader._count)
        assert reader._reading is not None
        await reader._reading

    asyncio.run(scene())


def test_streams_end_when_the_process_stops(store: Store) -> None:
    """A server waits for its connections before it ends."""

    async def scene() -> None:
        reader = reader_over(store)
        told = asyncio.create_task(collected(watch(reader, store, "x")))
        await until(lambda: joined(reader))
        reader.close()
        assert await told == []
        assert reader.is_full

    asyncio.run(scene())
