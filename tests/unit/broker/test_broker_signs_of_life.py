"""When a sign of life is due, and which servers need one."""

from __future__ import annotations

from typing import Any, cast

import pytest
import redis

from flowengine.broker.streams.consumer_group import ConsumerGroup, Server
from flowengine.broker.streams.sign_of_life import SignOfLife
from flowengine.broker.timing import Timing


class Info:
    """A server that says this of itself."""

    def __init__(self, said: bytes | redis.ResponseError) -> None:
        self._said = said

    def execute_command(self, *args: Any) -> bytes:
        """INFO's reply."""
        if isinstance(self._said, redis.ResponseError):
            raise self._said
        return self._said


def asked(said: bytes | redis.ResponseError) -> Server:
    """What a consumer learns of it."""
    return ConsumerGroup(cast(redis.Redis, Info(said)), "me", lease_ms=1000).server()


@pytest.mark.parametrize(
    ("version", "notes"),
    [
        (b"6.2.14", False),
        (b"7.0.15", False),
        (b"7.2.0", True),
        (b"7.4", True),
        (b"8.0.1", True),
        (b"255.255.255", True),
        (b"7", False),
        (b"unstable", False),
        (b"", False),
    ],
)
def test_version_says_whether_a_server_notes_empty_reads(version: bytes, notes: bool) -> None:
    """Valkey gives the version of Redis that it is compatible with: 7.2.4."""
    said = b"# Server\r\nredis_version:%s\r\nuptime_in_seconds:7\r\n" % version
    assert asked(said) == Server(uptime_s=7, notes_empty_reads=notes)


def test_server_that_does_not_tell_is_taken_for_an_old_one() -> None:
    """A sign too many does no harm."""
    assert asked(redis.exceptions.NoPermissionError("NOPERM")) == Server()


class Group:
    """As much of a ConsumerGroup as signs need."""

    def __init__(self) -> None:
        self.signed: list[str] = []

    def sign(self, line: str) -> None:
        """Count it."""
        self.signed.append(line)


def test_a_sign_is_due_once_a_period_and_line() -> None:
    """What the server notes by itself is as good as one."""
    group = Group()
    sign = SignOfLife(cast(ConsumerGroup, group), Timing(sign_every_s=3600.0))
    for _ in range(3):
        sign.give("q")
        sign.give("q:handler:h")
    assert group.signed == ["q", "q:handler:h"]
    sign.after_read("other", found=True)
    sign.give("other")
    sign.after_read("empty", found=False)
    sign.give("empty")
    assert group.signed == ["q", "q:handler:h", "empty"]


def test_reads_are_signs_where_the_server_notes_them() -> None:
    """From then on nothing is sent for it."""
    group = Group()
    sign = SignOfLife(cast(ConsumerGroup, group), Timing(sign_every_s=3600.0))
    sign.reads_suffice = True
    sign.before_read("q")
    sign.after_read("q", found=False)
    sign.give("q")
    assert group.signed == []


def test_several_lines_are_given_their_signs_once_a_period() -> None:
    """They are asked about together: what was noted of one of them counts."""
    group = Group()
    sign = SignOfLife(cast(ConsumerGroup, group), Timing(sign_every_s=3600.0))
    sign.after_read("noted", found=True)
    for _ in range(3):
        sign.give_all(("noted", "high", "low"))
    assert group.signed == ["high", "low"]


def test_several_lines_are_given_their_signs_again_when_they_are_due() -> None:
    """Each time here: the period is over at once."""
    group = Group()
    sign = SignOfLife(cast(ConsumerGroup, group), Timing(sign_every_s=0.0))
    for _ in range(2):
        sign.give_all(("high", "low"))
    assert group.signed == ["high", "low"] * 2
