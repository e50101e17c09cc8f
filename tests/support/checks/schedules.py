"""What must hold of schedules at any moment. Reads keys as they are, without the store's code."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from tests.support.checks.snapshot import Snapshot

SCHEDULE: Final = "fe:schedule:"
OUTCOMES: Final = "fe:outcomes:"
DEFINITION: Final = "fe:definition:"
LIST: Final = "fe:schedules"
TIMERS: Final = "fe:timers:schedule"
QUEUES: Final = ("fe:q:orchestrator", "fe:q:orchestrator:crowd")


def check_schedules(found: Snapshot) -> None:
    """Assert that each schedule belongs to a definition, is listed, and comes up when it is due."""
    stored = {_parted(key, SCHEDULE): found.get(key) for key in found.starting_with(SCHEDULE)}
    kept = {_parted(key, OUTCOMES) for key in found.starting_with(OUTCOMES)}
    named = {pair for key in found.starting_with(DEFINITION) for pair in _named(found, key)}
    listed = {tuple(member.decode().split("\t")[::-1]) for member in found.zrange(LIST, 0, -1)}
    timers = {tuple(member.decode().split("|", 1)) for member in found.zrange(TIMERS, 0, -1)}
    on_their_way = {pair for queue in QUEUES for pair in _sent(found, queue)}
    assert set(stored) == named, f"stored are {sorted(stored)}, definitions name {sorted(named)}"
    assert set(stored) == listed, f"stored are {sorted(stored)}, listed {sorted(listed)}"
    assert kept <= set(stored), f"outcomes of none: {sorted(kept - set(stored))}"
    assert timers <= set(stored), f"timers of none: {sorted(timers - set(stored))}"
    for pair, data in stored.items():
        record = msgspec.json.decode(data or b"null")
        if record["next"] is None or _is_paused(record):
            assert pair not in timers, f"{pair} has a timer: {record}"
        else:
            assert pair in timers or pair in on_their_way, f"nothing comes up for {pair}: {record}"


def _is_paused(record: Any) -> bool:
    word = record.get("word")
    paused: bool = record["schedule"].get("paused", False) if word is None else word["said"] == "paused"
    return paused


def _parted(key: bytes, prefix: str) -> tuple[str, ...]:
    return tuple(key.decode().removeprefix(prefix).split(":", 1))


def _named(found: Snapshot, key: bytes) -> list[tuple[str, ...]]:
    name = key.decode().removeprefix(DEFINITION)
    ids: list[str] = msgspec.json.decode(found.hgetall(key).get(b"schedules", b"[]"))
    return [(one, name) for one in ids]


def _sent(found: Snapshot, queue: str) -> list[tuple[str, ...]]:
    messages = [fields for _, fields in found.xrange(queue) if fields[b"a"] == b"fire_schedule"]
    payloads = [msgspec.json.decode(next(v for f, v in each.items() if f != b"a")) for each in messages]
    return [(payload["schedule"], payload["name"]) for payload in payloads]
