"""Whether new work may come in: the limit on unfinished executions, and the limit on what Redis stores.

What already runs must be able to end, so new executions and triggers are refused well before the memory is
used up: at `maxmemory` Redis refuses every transaction whole, and without one the machine's memory ends.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from flowengine.errors import StoreFullError, TooManyExecutionsError
from flowengine.execution.status import ExecutionStatus
from flowengine.settings import Settings
from flowengine.store.connection.packing import Command
from flowengine.store.state import RedisState

UNFINISHED: Final[tuple[ExecutionStatus, ...]] = ("pending", "running")
RUNNING: Final[tuple[ExecutionStatus, ...]] = ("running",)
MEMORY_EVERY_S = 0.5
ROOM_EVERY_S = 5.0
RETRY_AFTER_S = 5
SMALL_BYTES: Final = 64 * 1024
"""What is larger is let in only after a new look at the memory."""
COUNTED_FOR_S: Final = 0.1
"""While executions are far from their limit, a process counts them no more often than this."""
UNCOUNTED: Final = 100
"""So many a process lets in at most between two counts."""
FAR: Final = 10 * UNCOUNTED
"""So many may be missing to the limit at least: what ten processes let in between two counts."""
MACHINE_SHARE: Final = 0.5
"""Of the machine's memory, where Redis has no `maxmemory`: it forks to rewrite its append-only file, and may
then need twice what it stores."""


class Memory(msgspec.Struct, frozen=True):
    """Bytes that Redis uses, and the most that it may use for new work to come in; 0 where nobody knows one.

    `because` says what sets the limit.
    """

    used: int = 0
    limit: int = 0
    because: str = ""

    def has_room(self, count: int = 0) -> bool:
        """Whether so many bytes more may come in."""
        return self.limit == 0 or self.used + count <= self.limit


def memory_of(figures: Mapping[str, str], settings: Settings) -> Memory:
    """What INFO says of the memory, beside the lowest of the limits that there are."""
    most, machine = (int(figures.get(name, 0)) for name in ("maxmemory", "total_system_memory"))
    limits = []
    if settings.max_stored_bytes:
        limits.append((settings.max_stored_bytes, "FLOWENGINE_MAX_STORED_BYTES"))
    if most:
        ratio = settings.memory_limit_ratio
        limits.append((max(1, int(most * ratio)), f"{ratio:.0%} of its maxmemory"))
    if machine and not limits:
        limits.append((int(machine * MACHINE_SHARE), f"{MACHINE_SHARE:.0%} of its machine's memory"))
    return Memory(int(figures.get("used_memory", 0)), *min(limits, default=(0, "")))


class MemoryRoom:
    """Whether Redis has room for what may as well be left out. It is asked at most each `every_s` seconds."""

    def __init__(self, state: RedisState, *, every_s: float = ROOM_EVERY_S) -> None:
        self._state = state
        self._every_s = every_s
        self._asked_at = -every_s
        self._memory = Memory()

    def has_room(self, size: int) -> bool:
        """Whether so many bytes may be stored. Where INFO is not allowed, nobody knows a limit."""
        if time.monotonic() - self._asked_at >= self._every_s:
            self._asked_at = time.monotonic()
            told = self._state.sessions.told(("INFO", "memory"))
            self._memory = Memory() if told is None else memory_of(parse_info(told), self._state.settings)
        return self._memory.has_room(size)


class Asked(msgspec.Struct, frozen=True):
    """What one look asks of Redis, when, and how many bytes had been stored then: the look sees those.

    Its first commands count executions, the indexes that `counted` names.
    """

    commands: tuple[Command, ...]
    counted: tuple[ExecutionStatus, ...]
    stored: int
    at: float


class Admission:
    """The doorkeeper of one process.

    Memory is asked for at most each `memory_every_s` seconds, and before large work. Executions are counted
    before each that is let in, where their limit is near.

    The commands of `ask` go along with whatever else the caller reads, in one round trip, and their replies
    to `decide`; `letting_in` asks by itself.
    """

    def __init__(self, state: RedisState, *, memory_every_s: float | None = None) -> None:
        self._state = state
        looks_for_s = state.looks_for_s if memory_every_s is None else memory_every_s
        self._memory_every_s = MEMORY_EVERY_S if looks_for_s is None else looks_for_s
        self._counted_for_s = COUNTED_FOR_S if state.looks_for_s is None else state.looks_for_s
        self._asked = float("-inf")
        self._memory = Memory()
        self._may_ask: bool | None = None
        self._lock = threading.RLock()
        self._uncounted = {UNFINISHED: 0, RUNNING: 0}
        """So many may come in yet without a count of these."""
        self._counted_at = {UNFINISHED: float("-inf"), RUNNING: float("-inf")}
        self._let_in = 0
        """Bytes that this process has let in since it began."""
        self._stored = 0
        """Those of them whose storing has ended."""
        self._seen = 0
        """Those of them that the last look at the memory has surely seen."""

    @contextlib.contextmanager
    def letting_in(self, size: int) -> Iterator[None]:
        """Around the storing of a new execution of so many bytes, which count from here on.

        Raises TooManyExecutionsError or StoreFullError when it may not come in.
        """
        with self._letting_in(self.ask(size), size):
            yield

    @contextlib.contextmanager
    def letting_in_bytes(self, size: int) -> Iterator[None]:
        """The same around the storing of what is no execution. Raises StoreFullError when it may not come
        in."""
        with self._letting_in(self.ask(size, counts_executions=False), size):
            yield

    @contextlib.contextmanager
    def _letting_in(self, asked: Asked, size: int) -> Iterator[None]:
        self.let_in(asked, self._state.sessions.retrying_read(asked.commands) if asked.commands else (), size)
        try:
            yield
        finally:
            self.has_stored(size)

    def let_in(self, asked: Asked, replies: Sequence[Any], size: int) -> None:
        """Let so many bytes come in, which count from here on; `has_stored` says later that they are stored.

        Raises TooManyExecutionsError or StoreFullError when they may not.
        """
        with self._lock:
            self.decide(asked, replies, size=size)
            self._let_in += size

    def has_stored(self, size: int) -> None:
        """The storing of so many bytes that were let in has ended."""
        with self._lock:
            self._stored += size

    def ask(self, size: int = 0, *, starting: bool = False, counts_executions: bool = True) -> Asked:
        """What to ask: how many wait and run and, where that is not known, how much memory is used.

        `starting`: a trigger; only the executions that run count then. Without `counts_executions` none do.
        """
        now, stored = time.monotonic(), self._stored
        statuses = RUNNING if starting else UNFINISHED
        counted = statuses if counts_executions and not self._is_far(statuses, now) else ()
        counts: tuple[Command, ...] = tuple([("ZCARD", self._state.keys.index(name)) for name in counted])
        if now - self._asked < self._memory_every_s and size <= SMALL_BYTES:
            return Asked(counts, counted, stored, now)
        if self._may_ask is None:
            self._may_ask = self._probe()
        return Asked((*counts, ("INFO", "memory")) if self._may_ask else counts, counted, stored, now)

    def _is_far(self, statuses: tuple[ExecutionStatus, ...], now: float) -> bool:
        """Whether one more may come in by the last count of these."""
        with self._lock:
            if not self._uncounted[statuses] or now - self._counted_at[statuses] >= self._counted_for_s:
                return False
            self._uncounted[statuses] -= 1
            return True

    def decide(self, asked: Asked, replies: Sequence[Any], *, size: int = 0) -> None:
        """Raises TooManyExecutionsError or StoreFullError when no new work may come in."""
        memory = replies[len(asked.counted) :]
        if memory:
            self._look(parse_info(memory[0]), asked.stored)
        if asked.counted:
            self._count(asked, sum(replies[: len(asked.counted)]))
        with self._lock:
            if not self._memory.has_room(self._let_in - self._seen + size):
                raise StoreFullError(_refusal(self._memory, size))

    def _count(self, asked: Asked, waiting: int) -> None:
        """Raises TooManyExecutionsError where so many are too many."""
        most = self._state.settings.max_unfinished_executions
        if waiting >= most:
            raise TooManyExecutionsError(
                f"{waiting} executions have not ended, the limit is {most} "
                "(FLOWENGINE_MAX_UNFINISHED_EXECUTIONS): try again later",
                retry_after_s=RETRY_AFTER_S,
            )
        with self._lock:
            self._counted_at[asked.counted] = asked.at
            self._uncounted[asked.counted] = UNCOUNTED if waiting + FAR < most else 0

    def _look(self, figures: Mapping[str, str], seen: int) -> None:
        with self._lock:
            self._memory = memory_of(figures, self._state.settings)
            self._seen = seen
            self._asked = time.monotonic()

    def _probe(self) -> bool:
        """Whether INFO is allowed: hosted servers may forbid it, which would fail all that goes with it."""
        # If it is not, Redis itself refuses, later.
        return self._state.sessions.told(("INFO", "memory")) is not None


def _refusal(memory: Memory, size: int) -> str:
    needed = f" and this needs {size} more" if memory.has_room() else ""
    return (
        f"Redis uses {memory.used} bytes{needed}, the limit is {memory.limit} ({memory.because}): new work "
        "is refused so that what runs can end; give Redis more memory, or wait until old executions expire"
    )


def parse_info(reply: bytes | dict[str, object]) -> dict[str, str]:
    """The figures of an INFO reply."""
    if isinstance(reply, dict):
        return {str(name): str(value) for name, value in reply.items()}
    lines = (line.split(":", 1) for line in reply.decode().splitlines() if ":" in line)
    return {name: value.strip() for name, value in lines}
