"""The keys that open the API: those of the settings, and those in Redis as of a few seconds ago.

A request costs no round trip. The keys are read again in the background while they are used, before they are
used when they are too old, and when a key is unknown: it may have been made a moment ago.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import structlog

from flowengine.access.records import ApiKey, FoundKeys
from flowengine.api.edge.blocking_calls import BlockingCalls
from flowengine.errors import StoreUnavailableError

log = structlog.stdlib.get_logger()

REFRESHED_AFTER_S: Final = 3.0
"""Keys that are used are read again after so long, in the background."""
OLDEST_S: Final = 10.0
"""Older ones are not used: a key that was revoked, perhaps elsewhere, is let in no longer than that."""
AGAIN_AFTER_S: Final = 0.25
"""For unknown keys Redis is asked at most so often, however many there are."""
USE_NOTED_EACH_MS: Final = 60_000

ReadKeys = Callable[[Mapping[str, int]], FoundKeys]


class CurrentKeys:
    """Of one process; used on its event loop only.

    `read` reads the keys in Redis, and notes when some were used. `always_asks`: the API asks for a key even
    if there is none. `clock` counts seconds.
    """

    def __init__(
        self,
        fixed: Iterable[ApiKey],
        read: ReadKeys,
        calls: BlockingCalls,
        *,
        always_asks: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fixed = {key.digest: key for key in fixed}
        self._stored: dict[str, ApiKey] = {}
        self._read = read
        self._calls = calls
        self._clock = clock
        self._asks = always_asks or bool(self._fixed)
        self._read_at: float | None = None
        self._changed_at = 0.0
        self._redis_ms = 0
        self._redis_ms_at = 0.0
        self._reading: asyncio.Task[None] | None = None
        self._used: dict[str, int] = {}
        self._noted: dict[str, int] = {}

    @property
    def asks_now(self) -> bool:
        """Whether the API asks for keys, by what is known. Has Redis asked in the background."""
        if not self._asks:
            self._read_soon()
        return self._asks

    async def asks(self) -> bool:
        """Whether the API asks for keys. Raises StoreUnavailableError if nobody knows.

        Once it does, it does so until this process ends: keys that were revoked or lost open it to nobody.
        """
        if not self._asks:
            await self._be_younger_than(OLDEST_S)
            self._read_soon()
        return self._asks

    async def find(self, digest: str) -> ApiKey | None:
        """The key with this digest, if it opens anything. Raises StoreUnavailableError if nobody knows."""
        fixed = self._fixed.get(digest)
        if fixed is not None:
            return fixed
        await self._be_younger_than(OLDEST_S)
        found = self._stored.get(digest)
        if found is None:
            await self._be_read_after(self._clock())
            found = self._stored.get(digest)
        if found is None or found.has_expired(self._now()):
            return None
        self._note_use(found.id)
        self._read_soon()
        return found

    async def now(self) -> int:
        """Redis's time in milliseconds. Raises StoreUnavailableError if nobody knows."""
        await self._be_younger_than(OLDEST_S)
        return self._now()

    def forget(self) -> None:
        """Keys in Redis have changed: use none before they are read again."""
        self._changed_at = self._clock()
        self._read_at = None

    def fixed(self) -> tuple[ApiKey, ...]:
        """Those of the settings."""
        return tuple(self._fixed.values())

    def _age(self) -> float:
        return OLDEST_S + 1 if self._read_at is None else self._clock() - self._read_at

    def _now(self) -> int:
        """Redis's time in milliseconds, carried on by this process's clock."""
        return self._redis_ms + int((self._clock() - self._redis_ms_at) * 1000)

    def _note_use(self, key_id: str) -> None:
        now = self._now()
        if now - self._noted.get(key_id, 0) >= USE_NOTED_EACH_MS:
            self._noted[key_id] = self._used[key_id] = now

    def _read_soon(self) -> None:
        """Read in the background what is not fresh, and note what is to be noted."""
        if self._age() > REFRESHED_AFTER_S or self._used:
            self._start_reading()

    async def _be_younger_than(self, seconds: float) -> None:
        if self._age() < seconds:
            return
        await asyncio.shield(self._start_reading())

    async def _be_read_after(self, moment: float) -> None:
        """Wait for a read that began after this moment, and no sooner after the last one than may be."""
        while self._read_at is None or self._read_at < moment:
            await asyncio.sleep(max(0.0, AGAIN_AFTER_S - self._age()))
            await asyncio.shield(self._start_reading())

    def _start_reading(self) -> asyncio.Task[None]:
        """One read at a time, for all who wait for it."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.get_running_loop().create_task(self._read_once())
            self._reading.add_done_callback(_tell_failure)
        return self._reading

    async def _read_once(self) -> None:
        began, used, self._used = self._clock(), self._used, {}
        found = await self._calls.store(lambda: self._read(used))
        self._read_at = began if began >= self._changed_at else None
        self._redis_ms, self._redis_ms_at = found.now, began
        self._stored = {key.digest: key for key in found.keys}
        self._asks = self._asks or found.any_made


def _tell_failure(task: asyncio.Task[None]) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        error = task.exception()
        if isinstance(error, StoreUnavailableError):
            log.info("access.keys_not_read", error=str(error))
        elif error is not None:
            log.error("access.keys_not_read", exc_info=error)
