"""Timers in Redis: which are sent, which wait, and what becomes of a member that nobody can read.

Over fakeredis, whose clock is this machine's.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from fakeredis import FakeRedis
from structlog.testing import capture_logs

from flowengine.broker.streams.wire import ACTOR, PAYLOAD, post
from flowengine.execution.messages import Deadline, NextTry
from flowengine.queues import ORCHESTRATOR_QUEUE, stream_key
from flowengine.settings import Settings
from flowengine.store import keys
from flowengine.store.maintenance.timer_store import AT_ONCE, ODD_KEPT, PARSERS, RedisTimers
from flowengine.store.state import RedisState

NAMES = keys.of()
HOUR_MS = 3_600_000
UNREADABLE = [
    b"nonsense",
    b"",
    b"x|1|n",
    b"x|1|n|1|1",
    b"x|one|n|1",
    b"x|1|n|",
    "x|²|n|1".encode(),
    b"\xff|1|n|1",
    b"x|" + b"9" * 5000 + b"|n|1",
]


@pytest.fixture
def redis() -> FakeRedis:
    return FakeRedis(protocol=2)


@pytest.fixture
def timers(redis: FakeRedis) -> RedisTimers:
    return RedisTimers(RedisState(redis, post, Settings()))


def arm(redis: FakeRedis, timers: RedisTimers, member: str | bytes, *, in_ms: float) -> None:
    """A deadline that is due in so many milliseconds."""
    encoded = member if isinstance(member, bytes) else member.encode()
    redis.zadd(NAMES.deadlines, {encoded: timers.now() + in_ms})


def sent(redis: FakeRedis, timer: type[Deadline | NextTry] = Deadline) -> list[Deadline | NextTry]:
    """The messages in the orchestrator's queue."""
    entries: Any = redis.xrange(stream_key(ORCHESTRATOR_QUEUE))
    assert all(fields[ACTOR] == b"timer_fired" for _, fields in entries)
    kinds = [fields for _, fields in entries if (PAYLOAD in fields) == (timer is Deadline)]
    return [msgspec.json.decode(fields.get(PAYLOAD) or fields[b"p3"], type=timer) for fields in kinds]


def test_a_timer_that_is_due_becomes_a_message(redis: FakeRedis, timers: RedisTimers) -> None:
    """And is armed no more. The message carries all that the member names."""
    arm(redis, timers, "x|2|node-1_b|7", in_ms=-5)
    timers.fire_due()
    assert sent(redis) == [Deadline(execution="x", run=2, node="node-1_b", dispatch=7)]
    assert not redis.exists(NAMES.deadlines)


def test_a_timer_that_is_not_due_waits(redis: FakeRedis, timers: RedisTimers) -> None:
    """The caller is told for how long."""
    arm(redis, timers, "x|1|a|1", in_ms=-5)
    arm(redis, timers, "x|1|b|1", in_ms=HOUR_MS)
    left_s = timers.fire_due()
    assert left_s is not None
    assert HOUR_MS / 1000 - 60 < left_s <= HOUR_MS / 1000
    assert [timer.node for timer in sent(redis)] == ["a"]
    assert redis.zrange(NAMES.deadlines, 0, -1) == [b"x|1|b|1"]


def test_without_timers_there_is_no_next(timers: RedisTimers) -> None:
    """Nothing is sent, and nothing is waited for."""
    assert timers.fire_due() is None


def test_so_many_are_sent_at_once_and_the_rest_at_the_next_turn(
    redis: FakeRedis, timers: RedisTimers
) -> None:
    """Which is to come at once."""
    for number in range(AT_ONCE + 3):
        arm(redis, timers, f"x|1|n{number}|1", in_ms=-HOUR_MS + number)
    assert timers.fire_due() == 0.0
    assert [timer.node for timer in sent(redis)] == [f"n{number}" for number in range(AT_ONCE)]
    timers.fire_due()
    assert len(sent(redis)) == AT_ONCE + 3


# -- what cannot be read


@pytest.mark.parametrize("member", UNREADABLE)
def test_a_member_that_nobody_can_read_is_set_aside_alone(
    redis: FakeRedis, timers: RedisTimers, member: bytes
) -> None:
    """It neither comes back for ever nor holds up those before and behind it."""
    arm(redis, timers, "x|1|a|1", in_ms=-20)
    arm(redis, timers, member, in_ms=-10)
    arm(redis, timers, "x|1|b|1", in_ms=-5)
    with capture_logs() as logs:
        timers.fire_due()
    assert [timer.node for timer in sent(redis)] == ["a", "b"]
    assert not redis.exists(NAMES.deadlines)
    assert redis.zrange(NAMES.odd_timers, 0, -1) == [member]
    assert timers.set_aside == 1
    assert [(line["event"], line["kind"], line["count"]) for line in logs] == [
        ("timers.set_aside", "deadline", 1)
    ]


def test_what_is_set_aside_is_bounded(redis: FakeRedis, timers: RedisTimers) -> None:
    """The newest are kept, for people who want to know what they were."""
    for number in range(ODD_KEPT):
        redis.zadd(NAMES.odd_timers, {f"before {number}": number})
    arm(redis, timers, b"odd", in_ms=-5)
    timers.fire_due()
    kept = redis.zrange(NAMES.odd_timers, 0, -1)
    assert (len(kept), kept[0], kept[-1]) == (ODD_KEPT, b"before 1", b"odd")


def test_a_member_that_is_not_due_is_not_looked_at(redis: FakeRedis, timers: RedisTimers) -> None:
    """Not even one that nobody can read."""
    arm(redis, timers, b"odd", in_ms=HOUR_MS)
    timers.fire_due()
    assert not redis.exists(NAMES.odd_timers)


# -- kinds


def test_a_kind_that_is_held_waits(redis: FakeRedis, timers: RedisTimers) -> None:
    """Until it is not."""
    arm(redis, timers, "x|1|a|1", in_ms=-5)
    assert timers.fire_due(holding={"deadline"}) is None
    assert sent(redis) == []
    timers.fire_due(holding={"retry"})
    assert len(sent(redis)) == 1


def test_a_kind_of_a_later_version_waits_for_its_own_processes(redis: FakeRedis, timers: RedisTimers) -> None:
    """Though it is overdue; and it holds up nothing."""
    redis.zadd(NAMES.timers("later"), {"x|1|a|1": 1})
    arm(redis, timers, "x|1|b|1", in_ms=-5)
    timers.fire_due()
    assert [timer.node for timer in sent(redis)] == ["b"]
    assert redis.zcard(NAMES.timers("later")) == 1
    assert set(PARSERS) == {
        "deadline",
        "retry",
        "wait",
        "map",
        "timeout",
        "stop",
        "hooks",
        "delivery",
        "starts",
        "schedule",
        "followers",
    }


def test_the_end_of_a_pause_becomes_a_message_of_its_own_format(
    redis: FakeRedis, timers: RedisTimers
) -> None:
    """Never early; a process that does not know such pauses puts the message off."""
    for node, in_ms in (("a", -5.0), ("b", 60_000.0)):
        redis.zadd(NAMES.timers("retry"), {f"x|2|{node}|7": timers.now() + in_ms})
    left = timers.fire_due()
    assert left is not None
    assert 59 < left <= 60
    assert sent(redis, NextTry) == [NextTry(execution="x", run=2, node="a", dispatch=7)]
    assert sent(redis) == []
    assert redis.zcard(NAMES.timers("retry")) == 1


def test_members_survive_the_way_there_and_back() -> None:
    """As they are written by workers and by orchestrators."""
    timer = Deadline(execution="0a" * 13 + "f", run=12, node="_a-1", dispatch=30)
    member = keys.timer_member(timer.execution, timer.run, timer.node, timer.dispatch)
    assert keys.parse_deadline(member.encode()) == timer
