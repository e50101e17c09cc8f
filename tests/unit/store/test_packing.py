"""Commands that are packed by hand: the same bytes as hiredis gives, for every key and value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hiredis
import pytest

from flowengine.store.connection.packing import Command, expiring, keyed, keyed_with, pack, unpack

KEYS = ("", "fe:x:1a22f3cf0487a453e0f42bdd752:control", "fe:x:1:node:größe", "k" * 511, "k" * 512, "語" * 400)
VALUES = (b"", b'{"s":"queued"}', b"\r\n$3\r\n", "größe".encode(), b"x" * 511, b"x" * 512, b"x" * 100_000)


def by_hiredis(words: tuple[Any, ...]) -> bytes:
    packed: Callable[[tuple[Any, ...]], bytes] = hiredis.pack_command
    return packed(words)


@pytest.mark.parametrize("key", KEYS)
def test_command_of_a_key_is_packed_as_hiredis_packs_it(key: str) -> None:
    """Sizes are of bytes, also of keys with letters that take several."""
    reads = keyed("HMGET", ..., "status", "größe")
    assert reads(key) == by_hiredis(("HMGET", key, "status", "größe"))


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("key", KEYS)
def test_command_of_a_key_and_a_value_is_packed_as_hiredis_packs_it(key: str, value: bytes) -> None:
    """The value is last or stands before further words."""
    adds = keyed_with("XADD", ..., "MAXLEN", "~", 10_000, "*", "c", ...)
    sets = keyed_with("HSET", ..., "state", ..., "sent", 0)
    words = ("XADD", key, "MAXLEN", "~", 10_000, "*", "c", value)
    assert adds(key, value) == by_hiredis(words)
    assert sets(key, value) == by_hiredis(("HSET", key, "state", value, "sent", 0))


@pytest.mark.parametrize("at", [0, 999_999_999, 1_796_693_712, -1])
def test_each_expiry_is_a_command_of_its_own(at: int) -> None:
    """The replies of a transaction are counted by its commands."""
    assert expiring(KEYS, at) == [by_hiredis(("EXPIREAT", key, at)) for key in KEYS]
    assert expiring((), at) == []


def test_packed_commands_and_words_are_sent_in_their_order() -> None:
    """One piece holds them all; what was packed is not packed again."""
    commands: list[Command] = [("MULTI",), keyed("GET", ...)("plan"), ("SET", "k", 1), pack([("EXEC",)])]
    assert pack(commands) == b"".join(
        by_hiredis(words) for words in (("MULTI",), ("GET", "plan"), ("SET", "k", 1), ("EXEC",))
    )


def test_packed_command_can_be_read() -> None:
    """Its words come back as bytes; those of a tuple as they are."""
    assert unpack(keyed("HGET", ..., "state")("größe")) == (b"HGET", "größe".encode(), b"state")
    assert unpack(("EXPIREAT", "k", 1)) == ("EXPIREAT", "k", 1)
