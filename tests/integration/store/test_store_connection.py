"""The one way in which the store talks to Redis, and what it does when the connection breaks."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from flowengine.errors import StoreUnavailableError
from flowengine.store.connection.sessions import Session, Sessions, WatchedReads, connect
from tests.support.servers.valkey import Valkey, free_port


@pytest.fixture
def sessions(valkey: Valkey) -> Iterator[Sessions]:
    """The sessions of a process."""
    client = connect(valkey.url)
    made = Sessions(client, ahead_for_s=3600.0)
    yield made
    made.here().discard()
    client.close()


def cut(session: Session, admin: redis.Redis) -> None:
    """Let the server close the session's connection."""
    admin.client_kill_filter(_id=str(session.call([("CLIENT", "ID")])[0]))


def test_a_transaction_whose_key_has_changed_does_nothing(
    sessions: Sessions, redis_client: redis.Redis
) -> None:
    """WATCH, then somebody else's write, then EXEC: None, and nothing is written."""
    session = sessions.here()
    assert session.watch(["k"], [("GET", "k")]) == [None]
    redis_client.set("k", "theirs")
    assert session.transact([("SET", "k", "ours")], session.epoch) is None
    assert redis_client.get("k") == b"theirs"


def test_a_server_that_has_become_a_replica_is_left() -> None:
    """The same address may lead to the new primary; the old connection never would."""
    server = Valkey()
    server.start()
    with contextlib.closing(server), server.connect() as admin:
        client = connect(server.url)
        session = Sessions(client).here()
        session.write([("SET", "k", "1")])
        admin.execute_command("REPLICAOF", "127.0.0.1", free_port())
        for write in (session.call, session.write):
            epoch = session.epoch
            with pytest.raises(StoreUnavailableError, match="replica"):
                write([("SET", "k", "2")])
            assert session.epoch == epoch + 1
        admin.execute_command("REPLICAOF", "NO", "ONE")
        assert session.write([("SET", "k", "3")]) == [b"OK"]
        session.discard()
        client.close()


@pytest.mark.proves("primary-moves")
def test_a_thread_that_only_reads_leaves_a_replica_too() -> None:
    """Nothing that it asks is refused: it would see what the replica has, for ever."""
    server = Valkey()
    server.start()
    with contextlib.closing(server), server.connect() as admin, ThreadPoolExecutor(1) as reader:
        client = connect(server.url)
        sessions = Sessions(client)
        sessions.here().write([("SET", "k", "1")])
        before = reader.submit(lambda: sessions.retrying_read([("CLIENT", "ID")])).result()
        admin.execute_command("REPLICAOF", "127.0.0.1", free_port())
        with pytest.raises(StoreUnavailableError):
            sessions.here().write([("SET", "k", "2")])
        after, again = (
            reader.submit(lambda: sessions.retrying_read([("CLIENT", "ID")])).result() for _ in range(2)
        )
        assert before != after == again
        reader.submit(lambda: sessions.here().discard()).result()
        sessions.here().discard()
        client.close()


@pytest.mark.proves("primary-moves")
def test_a_demotion_that_another_thread_notices_costs_no_watch() -> None:
    """A unit under way keeps its connection: on another one it would write without its WATCH."""
    server = Valkey()
    server.start()
    with contextlib.closing(server), server.connect() as admin, ThreadPoolExecutor(1) as writer:
        client = connect(server.url)
        sessions = Sessions(client)
        writer.submit(lambda: sessions.here().write([("SET", "other", "1")])).result()
        sessions.retrying_watch(["k"], [("GET", "k")])
        admin.execute_command("REPLICAOF", "127.0.0.1", free_port())
        with pytest.raises(StoreUnavailableError, match="replica"):
            writer.submit(lambda: sessions.here().write([("SET", "other", "2")])).result()
        admin.execute_command("REPLICAOF", "NO", "ONE")
        admin.set("k", "theirs")
        session = sessions.here()
        assert session.transact([("SET", "k", "ours")], session.epoch) is None
        assert admin.get("k") == b"theirs"
        writer.submit(lambda: sessions.here().discard()).result()
        sessions.here().discard()
        client.close()


def test_a_unit_left_open_does_not_stop_the_next_write(sessions: Sessions, redis_client: redis.Redis) -> None:
    """A WATCH that an exception left behind would refuse a transaction that depends on nothing."""
    session = sessions.here()
    session.watch(["k"], [])
    redis_client.set("k", "theirs")
    session.write([("SET", "other", "1")])
    assert redis_client.get("other") == b"1"


def test_a_unit_left_open_does_not_disturb_the_next_unit(
    sessions: Sessions, redis_client: redis.Redis
) -> None:
    """Only what a unit itself has read can refuse it."""
    session = sessions.here()
    session.watch(["k"], [])
    redis_client.set("k", "theirs")
    session.watch(["other"], [])
    assert session.transact([("SET", "other", "1")], session.epoch) is not None


@pytest.mark.proves("watch-lost")
def test_nothing_is_written_on_a_connection_that_lost_its_watch(
    sessions: Sessions, redis_client: redis.Redis
) -> None:
    """Even if a read between has made a new connection, which watches nothing."""
    session = sessions.here()
    session.watch(["k"], [])
    epoch = session.epoch
    cut(session, redis_client)
    redis_client.set("k", "theirs")
    assert sessions.retrying_read([("GET", "k")]) == [b"theirs"]
    with pytest.raises(StoreUnavailableError):
        session.transact([("SET", "k", "ours")], epoch)
    assert redis_client.get("k") == b"theirs"


def test_a_read_is_tried_again_on_a_new_connection(sessions: Sessions, redis_client: redis.Redis) -> None:
    """An idle connection may have been closed long ago."""
    cut(sessions.here(), redis_client)
    assert sessions.retrying_read([("GET", "k")]) == [None]


def test_a_write_is_never_repeated(sessions: Sessions, redis_client: redis.Redis) -> None:
    """It may have been executed: the caller is told, and decides."""
    session = sessions.here()
    cut(session, redis_client)
    with pytest.raises(StoreUnavailableError):
        session.write([("INCR", "k")])
    assert redis_client.get("k") is None
    session.write([("INCR", "k")])
    assert redis_client.get("k") == b"1"


def test_a_write_that_may_be_repeated_is_tried_again_on_a_new_connection(
    sessions: Sessions, redis_client: redis.Redis
) -> None:
    """A worker's connection is idle for as long as its handler runs, and may be closed meanwhile."""
    cut(sessions.here(), redis_client)
    sessions.retrying_write([("SET", "k", "1")])
    assert redis_client.get("k") == b"1"


@pytest.mark.proves("redis-refuses-transaction")
def test_a_refused_transaction_does_nothing_and_says_why(
    sessions: Sessions, redis_client: redis.Redis
) -> None:
    """A command that cannot be queued takes the whole transaction with it."""
    with pytest.raises(StoreUnavailableError, match="refused"):
        sessions.here().write([("SET", "k", "1"), ("SET", "k")])
    assert redis_client.get("k") is None


def test_each_thread_has_a_session_of_its_own(sessions: Sessions) -> None:
    """WATCH belongs to a connection, so threads must not share one."""
    with ThreadPoolExecutor(1) as pool:
        theirs = [pool.submit(sessions.here).result() for _ in range(2)]
    assert theirs[0] is theirs[1]
    assert theirs[0] is not sessions.here()


def test_hundreds_of_threads_have_sessions(sessions: Sessions) -> None:
    """redis-py allows a client 100 connections unless it is told otherwise."""
    together = threading.Barrier(150)

    def look() -> list[Any]:
        together.wait(30)
        try:
            return sessions.here().call([("EXISTS", "k")])
        finally:
            sessions.here().discard()

    with ThreadPoolExecutor(150) as pool:
        looks = [pool.submit(look) for _ in range(150)]
        assert [each.result(30) for each in looks] == [[0]] * 150


NEXT = WatchedReads(("k",), (("GET", "k"),), "what k holds")


def test_what_comes_next_is_read_with_a_transaction(sessions: Sessions, redis_client: redis.Redis) -> None:
    """The replies are those of the moment after it, and are given once."""
    session = sessions.here()
    assert session.transact([("SET", "k", "ours")], session.epoch, NEXT) == [b"OK"]
    assert session.watched_ahead(NEXT.asked) == [b"ours"]
    assert session.watched_ahead(NEXT.asked) is None


def test_what_was_read_ahead_is_watched(sessions: Sessions, redis_client: redis.Redis) -> None:
    """A change by somebody else refuses the transaction that relies on it."""
    session = sessions.here()
    session.transact([("SET", "other", "1")], session.epoch, NEXT)
    redis_client.set("k", "theirs")
    assert session.watched_ahead(NEXT.asked) == [None]
    assert session.transact([("SET", "k", "ours")], session.epoch) is None
    assert redis_client.get("k") == b"theirs"


def test_what_nobody_asks_for_disturbs_no_other_unit(sessions: Sessions, redis_client: redis.Redis) -> None:
    """Another unit, or a write that watches nothing, is refused for nothing that was read ahead."""
    session = sessions.here()
    session.transact([("SET", "other", "1")], session.epoch, NEXT)
    redis_client.set("k", "theirs")
    session.watch(["other"], [])
    assert session.transact([("SET", "other", "2")], session.epoch, NEXT) == [b"OK"]
    redis_client.set("k", "theirs again")
    assert session.write([("SET", "other", "3")]) == [b"OK"]
    assert session.watched_ahead(NEXT.asked) is None


def test_other_readings_are_not_given(sessions: Sessions) -> None:
    """Only exactly what was asked for."""
    session = sessions.here()
    session.transact([("SET", "other", "1")], session.epoch, NEXT)
    assert session.watched_ahead("what k holds, and when") is None


def test_older_readings_are_not_given(valkey: Valkey) -> None:
    """Only for a while."""
    with connect(valkey.url) as client:
        session = Sessions(client, ahead_for_s=0.0).here()
        session.transact([("SET", "other", "1")], session.epoch, NEXT)
        assert session.watched_ahead(NEXT.asked) is None
        session.discard()


def test_nothing_is_given_from_a_connection_that_is_gone(
    sessions: Sessions, redis_client: redis.Redis
) -> None:
    """Its WATCH went with it, so the next unit reads again."""
    session = sessions.here()
    session.transact([("SET", "other", "1")], session.epoch, NEXT)
    cut(session, redis_client)
    with pytest.raises(StoreUnavailableError):
        session.call([("PING",)])
    assert session.watched_ahead(NEXT.asked) is None


def test_a_refused_transaction_reads_ahead_all_the_same(
    sessions: Sessions, redis_client: redis.Redis
) -> None:
    """A conflict is told as ever, whatever was asked for beside it."""
    session = sessions.here()
    session.watch(["other"], [])
    redis_client.set("other", "theirs")
    assert session.transact([("SET", "other", "ours")], session.epoch, NEXT) is None
    assert redis_client.get("other") == b"theirs"
    with pytest.raises(StoreUnavailableError, match="refused"):
        session.transact([("SET", "k")], session.epoch, NEXT)
    assert session.watched_ahead(NEXT.asked) is None
    assert session.write([("SET", "k", "1")]) == [b"OK"]


def test_an_error_among_what_is_read_ahead_is_nobodys_error(sessions: Sessions) -> None:
    """The transaction is done; what could not be read is read again, and then complained about."""
    session = sessions.here()
    wrong = WatchedReads(("k",), (("HGET", "k", "field"),), "a field of k")
    assert session.transact([("SET", "k", "1")], session.epoch, wrong) == [b"OK"]
    assert session.watched_ahead(wrong.asked) is None
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        session.watch(wrong.names, wrong.reads)
