"""Statistics of the last day, from what was counted as executions ended: one round trip, however many."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from flowengine.execution.views.executions import moment
from flowengine.execution.views.operations import (
    DefinitionStatsView,
    DurationsView,
    HourStatsView,
    SpanStatsView,
    StatsView,
)
from flowengine.store.connection.clock import milliseconds
from flowengine.store.operations.ended_counts import HOUR_MS, NEVER_BEGUN, SLOT_MS, longest_ms
from flowengine.store.operations.kept_counts import kept_reads, parse_kept
from flowengine.store.state import RedisState

HOURS: Final = 24
DEFINITIONS_SHOWN: Final = 100
ENDED: Final = ("completed", "failed", "cancelled")

_BY_TIME: Final = re.compile(rb"(completed|failed|cancelled):(\d{1,2}):(-?\d{1,3})")
_BY_NAME: Final = re.compile(rb"n:(completed|failed|cancelled):(.*)", re.DOTALL)

Slot = tuple[int, str, int]
"""The beginning of five minutes in milliseconds since the epoch, a status, a class of durations."""


class Stats:
    """Statistics of the executions of one partition."""

    def __init__(self, state: RedisState) -> None:
        self._state = state

    def __call__(self) -> StatsView:
        """As of now. Raises StoreUnavailableError."""
        now, kept, hours = self._read()
        by_slot: Counter[Slot] = Counter()
        by_name: Counter[tuple[str, str]] = Counter()
        for hour, fields in hours.items():
            for field, count in fields.items():
                if found := _BY_TIME.fullmatch(field):
                    begins = hour * HOUR_MS + int(found[2]) * SLOT_MS
                    by_slot[begins, found[1].decode(), int(found[3])] += int(count)
                elif (found := _BY_NAME.fullmatch(field)) and hour > max(hours) - HOURS:
                    by_name[found[2].decode(errors="replace"), found[1].decode()] += int(count)
        return StatsView(
            at=moment(now),
            executions=kept,
            definitions=_definitions(by_name),
            hours=tuple(_hour(hour, by_slot) for hour in sorted(hours)[-HOURS:]),
            last_hour=_span(now, HOUR_MS, by_slot),
            last_day=_span(now, HOURS * HOUR_MS, by_slot),
        )

    def _read(self) -> tuple[int, dict[str, int], Mapping[int, Mapping[bytes, bytes]]]:
        """The time, how many executions are kept in each status, and the counts of the last 25 hours."""
        names = self._state.keys
        this_hour = self._state.now() // HOUR_MS
        hours = range(this_hour - HOURS, this_hour + 1)
        kept = kept_reads(names)
        replies = self._state.sessions.retrying_read(
            [
                ("TIME",),
                *kept,
                *(("HGETALL", names.ended(hour)) for hour in hours),
            ]
        )
        behind = 1 + len(kept)
        found = map(_pairs, replies[behind:])
        return milliseconds(replies[0]), parse_kept(replies[1:behind]), dict(zip(hours, found, strict=True))


def _pairs(reply: Any) -> Mapping[bytes, bytes]:
    """The reply of an HGETALL: RESP3 gives a map, RESP2 a list."""
    if isinstance(reply, dict):
        return reply
    return dict(zip(reply[::2], reply[1::2], strict=True))


def _definitions(by_name: Mapping[tuple[str, str], int]) -> tuple[DefinitionStatsView, ...]:
    """The workflows of which most executions have ended."""
    totals: Counter[str] = Counter()
    for (name, _), count in by_name.items():
        totals[name] += count
    chosen = sorted(totals, key=lambda name: (-totals[name], name))[:DEFINITIONS_SHOWN]
    return tuple(
        DefinitionStatsView(name=name, **{status: by_name.get((name, status), 0) for status in ENDED})
        for name in chosen
    )


def _hour(hour: int, by_slot: Mapping[Slot, int]) -> HourStatsView:
    begins = hour * HOUR_MS
    slots = [(slot, count) for slot, count in by_slot.items() if begins <= slot[0] < begins + HOUR_MS]
    return HourStatsView(begins_at=moment(begins), **_by_status(slots))


def _span(now: int, ms: int, by_slot: Mapping[Slot, int]) -> SpanStatsView:
    """What ended in the slots that began in the last so many milliseconds."""
    first = -(-(now - ms) // SLOT_MS) * SLOT_MS
    slots = [(slot, count) for slot, count in by_slot.items() if first <= slot[0]]
    ended = _by_status(slots)
    minutes = max(1.0, (now - first) / 60_000)
    return SpanStatsView(
        since=moment(first),
        per_minute=round(sum(ended.values()) / minutes, 3),
        durations=_durations(slots),
        **ended,
    )


def _by_status(slots: Iterable[tuple[Slot, int]]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for (_, status, _), count in slots:
        found[status] += count
    return {status: found[status] for status in ENDED}


def _durations(slots: Iterable[tuple[Slot, int]]) -> DurationsView | None:
    """How long the executions took; None where none has run."""
    lengths: Counter[int] = Counter()
    for (_, _, length), count in slots:
        if length != NEVER_BEGUN:
            lengths[length] += count
    if not lengths:
        return None
    return DurationsView(
        p50_s=_quantile(lengths, 0.5), p95_s=_quantile(lengths, 0.95), p99_s=_quantile(lengths, 0.99)
    )


def _quantile(lengths: Mapping[int, int], share: float) -> float:
    """What so large a share of the durations took at most, in seconds: the upper bound of its class."""
    wanted = share * sum(lengths.values())
    seen = 0
    length = 0
    for length in sorted(lengths):
        seen += lengths[length]
        if seen >= wanted:
            break
    return round(longest_ms(length) / 1000, 3)
