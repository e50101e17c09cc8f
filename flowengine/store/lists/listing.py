"""Lists of executions: from which sorted sets a page is read, and the reading.

A page is read from the index that has the fewest candidates for what is wanted. All else is checked by
each candidate's own record, so that nothing shows that has expired, or is not what an index says.
"""

from __future__ import annotations

import heapq
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final, TypeVar

import msgspec
import redis
import structlog

from flowengine.engine.ports import Batch, Candidates
from flowengine.execution.messages import NextTry, WaitOver
from flowengine.execution.records import UNTOUCHED, ExecutionRecord, NodeRecord
from flowengine.execution.requests.listing import Numbers, Wait, Wanted
from flowengine.execution.rules.children.opening import is_child
from flowengine.execution.status import ALL_EXECUTION_STATUSES
from flowengine.store import keys
from flowengine.store.codec import decode_record, parse_execution
from flowengine.store.connection.packing import Command
from flowengine.store.lists.listing_entries import (
    CORRELATION,
    LABEL,
    LISTS,
    NAME,
    RERUN,
    Span,
    beginning_with,
    having,
    id_in,
    ids_within,
    list_of,
)
from flowengine.store.state import RedisState

log = structlog.stdlib.get_logger()

Read = TypeVar("Read")

READ_WHOLE: Final = 1000
"""What begins with a text does not lie in the order of ids: all of it is read for each page. Of what has more
members, the lists are read instead, where one is found soon."""
WAITS_READ: Final = 1000
"""So many timers are looked at, the first that are due, for what the executions of a page wait for."""
ID_LEAD_MS: Final = 60_000
"""`flowengine run` makes the id of its execution before it is stored, no longer than this."""

_LAST_MS: Final = 16**11 - 1
"""The last time that an id can begin with, in the year 2527."""
_HEX: Final = re.compile(r"[0-9a-f]+")
_COUNTED: Final = ("unfinished", "failed", keys.MAIN_FAILED, keys.FIRST_FAILED)


class _Source(msgspec.Struct, frozen=True):
    """One way to find all that are wanted. `is_whole`: it is read as a whole."""

    spans: tuple[Span, ...]
    is_whole: bool = False


class RedisListing:
    """Implements `flowengine.engine.listing.ListingStore`."""

    def __init__(self, state: RedisState) -> None:
        self._state = state
        self._keys = state.keys

    def candidates(self, wanted: Wanted, before: str) -> Candidates:
        """Executions that may be wanted, newest first, whose ids are less than `before`; empty: all."""
        if wanted.parent is not None:
            source = self._children_of(wanted.parent, before)
        else:
            source = self._choose(wanted, before)
        low, _ = _bounds(wanted, before)

        def read(last: str, count: int) -> Batch:
            if source.is_whole:
                return self._read_whole(source, low, last or before, count)
            return self._read(source, last, count)

        return read

    def records(self, executions: Sequence[str]) -> list[ExecutionRecord | None]:
        """The executions' own records; None for one that is not there."""
        replies = self._state.sessions.retrying_read(
            [self._state.execution_read(each) for each in executions]
        )
        return [parse_execution(reply) for reply in replies]

    def readable(self, executions: Sequence[str]) -> list[ExecutionRecord | None]:
        """The same; None also for one that cannot be read. One that is odd costs the page no other."""
        reads = [self._state.execution_read(each) for each in executions]
        return [self._read_odd(reply, _known_execution, None) for reply in self._each(reads)]

    def numbers(self, executions: Sequence[str]) -> list[Numbers]:
        """What is counted of executions: nothing, where it cannot be read."""
        reads: list[Command] = [("HMGET", self._keys.counts(each), *_COUNTED) for each in executions]
        return [self._read_odd(reply, _parse_numbers, Numbers()) for reply in self._each(reads)]

    def nodes(self, nodes: Sequence[tuple[str, str]]) -> list[NodeRecord]:
        """The records of nodes, each with its execution: untouched, where one cannot be read."""
        reads: list[Command] = [
            ("HGET", self._keys.node(execution, node), keys.STATE) for execution, node in nodes
        ]
        return [self._read_odd(reply, decode_record, UNTOUCHED) for reply in self._each(reads)]

    def _each(self, reads: Sequence[Command]) -> Sequence[Any]:
        return self._state.sessions.retrying_read_each(reads)

    def _read_odd(self, reply: Any, parse: Callable[[Any], Read], otherwise: Read) -> Read:
        try:
            if isinstance(reply, redis.ResponseError):
                raise reply
            return parse(reply)
        except (redis.ResponseError, msgspec.MsgspecError, ValueError) as error:
            log.warning("list.entry_unreadable", error=str(error)[:100])
            return otherwise

    def next_waits(self) -> Mapping[str, Sequence[Wait]]:
        """The nodes that go on next by a timer: of tries and of other waits the first 1000 each, of all
        executions, by execution; the one that is due first stands first."""
        commands = [
            ("ZRANGE", self._keys.timers(kind), 0, WAITS_READ - 1, "WITHSCORES") for kind in ("retry", "wait")
        ]
        tries, waits = self._state.sessions.retrying_read(commands)
        rows: list[tuple[NextTry | WaitOver | None, float]] = [
            (keys.parse_next_try(member), float(due)) for member, due in _pairs(tries)
        ]
        rows += [(keys.parse_wait_over(member), float(due)) for member, due in _pairs(waits)]
        found: dict[str, list[Wait]] = {}
        for timer, until in sorted(rows, key=itemgetter(1)):
            if timer is not None and math.isfinite(until):
                kind = timer.waits if isinstance(timer, WaitOver) else "retry"
                found.setdefault(timer.execution, []).append(Wait(timer.run, timer.node, int(until), kind))
        return found

    def _children_of(self, parent: str, before: str) -> _Source:
        """The children of one execution, which its root knows. Their ids lie behind all others."""
        plan = self._state.plan(parent) if is_child(parent) else None
        lineage = None if plan is None else plan.lineage
        root = parent if lineage is None else lineage.root
        return _Source((having(self._keys.children(root), "", before, parent),))

    # -- which index

    def _choose(self, wanted: Wanted, before: str) -> _Source:
        sources = self._sources(wanted, before)
        if len(sources) == 1:
            return sources[0]
        spans = [span for source in sources for span in source.spans]
        counted = iter(
            self._state.sessions.retrying_read(
                [("ZLEXCOUNT", span.key, span.low, span.high) for span in spans]
            )
        )
        sizes = [sum(next(counted) for _ in source.spans) for source in sources]
        fit = [
            (size, place)
            for place, (source, size) in enumerate(zip(sources, sizes, strict=True))
            if not source.is_whole or size <= READ_WHOLE
        ]
        return sources[min(fit)[1]]

    def _sources(self, wanted: Wanted, before: str) -> list[_Source]:
        """Each has all that are wanted. The first is there always."""
        low, high = _bounds(wanted, before)
        by = self._keys.list_by
        lists = dict.fromkeys(map(list_of, wanted.statuses)) or LISTS
        found = [_Source(tuple(ids_within(self._keys.listing(status), low, high) for status in lists))]
        values: list[tuple[str, ...]] = [(LABEL, *label) for label in wanted.labels]
        if wanted.name is not None:
            values.append((NAME, wanted.name))
        if wanted.correlation_id is not None:
            values.append((CORRELATION, wanted.correlation_id))
        if wanted.rerun_of is not None:
            values.append((RERUN, wanted.rerun_of))
        found += [_Source((having(by, low, high, *value),)) for value in values]
        if wanted.prefix:
            spans = [beginning_with(by, NAME, wanted.prefix), *self._with_id(wanted.prefix)]
            found.append(_Source(tuple(spans), is_whole=True))
        return found

    def _with_id(self, prefix: str) -> list[Span]:
        """The ids that begin so, if one can."""
        if not _HEX.fullmatch(prefix[: keys.ID_CHARS]):
            return []
        return [ids_within(self._keys.listing(status), prefix, f"{prefix}~") for status in LISTS]

    # -- reading

    def _read(self, source: _Source, last: str, count: int) -> Batch:
        """The next ones. What lies in several lists is read at one moment, so that none is missed."""
        spans = [span if not last else span.before(last) for span in source.spans]
        commands: list[Command] = [
            ("ZRANGE", span.key, span.high, span.low, "BYLEX", "REV", "LIMIT", 0, count) for span in spans
        ]
        sessions = self._state.sessions
        replies = (sessions.retrying_write if len(commands) > 1 else sessions.retrying_read)(commands)
        found = list(heapq.merge(*([id_in(member) for member in reply] for reply in replies), reverse=True))
        is_last = len(found) <= count and all(len(reply) < count for reply in replies)
        return Batch([_as_text(execution) for execution in dict.fromkeys(found[:count])], is_last)

    def _read_whole(self, source: _Source, low: str, before: str, count: int) -> Batch:
        commands: list[Command] = [
            ("ZRANGE", span.key, span.low, span.high, "BYLEX", "LIMIT", 0, 2 * READ_WHOLE)
            for span in source.spans
        ]
        replies = self._state.sessions.retrying_read(commands)
        ids = {_as_text(id_in(member)) for reply in replies for member in reply}
        found = sorted((each for each in ids if each >= low and (not before or each < before)), reverse=True)
        return Batch(found[:count], len(found) <= count)


def _as_text(execution: bytes) -> str:
    """The id. One that is no text is no execution's: it becomes an id that none has, in nearly its place.

    `~` is behind all characters of ids, and before all bytes beyond ASCII: who goes on from there misses
    none, and does not meet this one again.
    """
    try:
        return execution.decode()
    except UnicodeDecodeError as error:
        log.warning("list.entry_unreadable", error=str(error)[:100])
        return f"{execution[: error.start].decode()}~"


def _pairs(reply: Sequence[bytes]) -> Iterable[tuple[bytes, bytes]]:
    """Members with their scores."""
    return zip(reply[::2], reply[1::2], strict=True)


def _known_execution(values: Sequence[bytes | None]) -> ExecutionRecord | None:
    record = parse_execution(values)
    if record is not None and record.status not in ALL_EXECUTION_STATUSES:
        raise ValueError(f"there is no status '{record.status}'")
    return record


def _parse_numbers(values: Sequence[bytes | None]) -> Numbers:
    unfinished, failed, main_failed, first = values
    return Numbers(
        int(unfinished or 0),
        int(failed or 0),
        int(main_failed or 0),
        None if first is None else first.decode(),
    )


def _bounds(wanted: Wanted, before: str) -> tuple[str, str]:
    """What ids are at least, and what they are less than; empty: any. Both are a little wider than wanted."""
    low = "" if wanted.created_after is None else _id_at(wanted.created_after - ID_LEAD_MS)
    high = "" if wanted.created_before is None else _id_at(wanted.created_before)
    return low, min(filter(None, (high, before)), default="")


def _id_at(milliseconds: int) -> str:
    """Before all ids that were made from this moment on."""
    return f"{min(max(0, milliseconds), _LAST_MS):011x}"
