"""The store in memory: what time and transactions do to it. Its replies are compared elsewhere."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from flowengine.store.connection.sessions import Session, Sessions
from flowengine.testing.memory.connection import client_of
from flowengine.testing.memory.keyspace import Keyspace
from flowengine.testing.running.virtual_clock import VirtualClock

NOW = 1_000_000


@pytest.fixture
def clock() -> VirtualClock:
    """A clock that stands still."""
    return VirtualClock(NOW)


@pytest.fixture
def space(clock: VirtualClock) -> Keyspace:
    """No keys."""
    return Keyspace(clock.now)


def session_of(space: Keyspace) -> Session:
    """One more connection."""
    return Sessions(client_of(space)).here()


def called(space: Keyspace, *command: Any) -> Any:
    """The reply of one command."""
    return session_of(space).call([command])[0]


def test_keys_expire_by_the_clock(space: Keyspace, clock: VirtualClock) -> None:
    """At their time, and not before it."""
    called(space, "SET", "a", "1", "PX", 10)
    clock.move(NOW + 9)
    assert called(space, "GET", "a") == b"1"
    clock.move(NOW + 10)
    assert called(space, "GET", "a") is None
    assert called(space, "EXISTS", "a") == 0


def test_a_new_value_of_a_text_lives_for_ever(space: Keyspace) -> None:
    """As a server has it; to append keeps its time."""
    called(space, "SET", "a", "1", "EX", 10)
    called(space, "APPEND", "a", "2")
    assert called(space, "EXPIRETIME", "a") == NOW // 1000 + 10
    called(space, "SET", "a", "3")
    assert called(space, "EXPIRETIME", "a") == -1


def test_transaction_over_a_changed_key_is_refused(space: Keyspace) -> None:
    """And nothing of it is done."""
    mine, other = session_of(space), session_of(space)
    mine.watch(["a"], [])
    other.call([("HSET", "a", "x", 1)])
    assert mine.transact([("SET", "b", 1)], mine.epoch) is None
    assert called(space, "EXISTS", "b") == 0
    mine.watch(["a"], [])
    other.call([("HSET", "c", "x", 1)])
    assert mine.transact([("SET", "b", 1)], mine.epoch) == [b"OK"]


def test_transaction_over_a_key_that_expired_is_refused(space: Keyspace, clock: VirtualClock) -> None:
    """It is not there any more, which is a change."""
    mine = session_of(space)
    called(space, "SET", "a", 1, "PX", 5)
    mine.watch(["a"], [])
    clock.move(NOW + 5)
    assert mine.transact([("SET", "b", 1)], mine.epoch) is None


def test_an_unwatched_key_keeps_no_transaction(space: Keyspace) -> None:
    """After an UNWATCH, or another transaction."""
    mine = session_of(space)
    mine.watch(["a"], [])
    mine.unwatch()
    called(space, "SET", "a", 1)
    assert mine.transact([("SET", "b", 1)], mine.epoch) == [b"OK"]


def test_a_command_that_is_not_known_is_an_error(space: Keyspace) -> None:
    """The store has a new one then: it belongs into this store as well."""
    with pytest.raises(redis.ResponseError, match="unknown command 'GEOADD'"):
        called(space, "GEOADD", "a", 1, 2, "b")


def test_entries_of_one_millisecond_have_ids_in_their_order(space: Keyspace, clock: VirtualClock) -> None:
    """And a later one is behind them."""
    ids = [called(space, "XADD", "s", "*", "f", "v") for _ in range(2)]
    clock.move(NOW + 1)
    ids.append(called(space, "XADD", "s", "*", "f", "v"))
    assert ids == [b"1000000-0", b"1000000-1", b"1000001-0"]
    assert called(space, "XDEL", "s", ids[1], ids[1]) == 1
    assert [entry for entry, _ in called(space, "XRANGE", "s", "(1000000-0", "+")] == [ids[2]]


def test_the_clock_does_not_go_back(clock: VirtualClock) -> None:
    """Whatever a server says."""
    clock.move(NOW - 1)
    assert (clock.now(), clock.seen([1, 2])) == (NOW, NOW)
