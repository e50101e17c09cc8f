"""Versions of what is stored: an older one is refused with what to do, today's is kept for later versions."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import redis

from flowengine.bootstrap import build_executions
from flowengine.broker.streams.wire import post
from flowengine.errors import SettingsError, StoredFormatError, StoreUnavailableError
from flowengine.plugin import Registry
from flowengine.settings import Settings
from flowengine.store.connection.sessions import connect
from flowengine.store.maintenance.format_check import FormatCheck
from flowengine.store.server_checks.start_check import StartCheck
from flowengine.store.state import RedisState
from tests.support import stored_formats
from tests.support.checks.invariants import check_everything
from tests.support.checks.reference_model import expected_values, final_statuses
from tests.support.rigs.harness import Harness, diamond
from tests.support.servers.valkey import Valkey, free_port


@pytest.fixture
def state(valkey: Valkey) -> Iterator[RedisState]:
    """The state of a process that begins."""
    client = connect(valkey.url)
    made = RedisState(client, post, Settings(redis_url=valkey.url))
    yield made
    made.sessions.here().discard()
    client.close()


def lifetimes(client: redis.Redis) -> dict[bytes | str, int]:
    """Each key, whosever it is, with the milliseconds that it has left: -1 when it stays."""
    return {key: client.pttl(key) for key in client.keys("*")}


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_fixture_is_what_dump_says_of_it(redis_client: redis.Redis, version: int) -> None:
    """What cannot be told from a dump cannot be told from a fixture either."""
    found = stored_formats.load(redis_client, version)
    text = (stored_formats.FIXTURES / f"stored_format_{version}.json").read_text()
    assert stored_formats.dump(redis_client, version, found.executions) == text


@pytest.mark.proves("older-format")
def test_state_of_format_1_is_refused_with_the_way_to_drain_it(
    state: RedisState, redis_client: redis.Redis
) -> None:
    """Nothing is written, so that the older version can go on with it."""
    found = stored_formats.load(redis_client, 1)
    before = stored_formats.dump(redis_client, 1, found.executions)
    expiring = lifetimes(redis_client)
    with pytest.raises(StoredFormatError, match="let its executions end under"):
        FormatCheck(state).ensure()
    with pytest.raises(StoredFormatError):
        StartCheck(state, "worker").wait(threading.Event())
    assert stored_formats.dump(redis_client, 1, found.executions) == before
    assert lifetimes(redis_client) == expiring


@pytest.mark.parametrize("left", ["failed", "completed", "running", "triggered", "pending"])
def test_any_one_execution_of_format_1_is_recognised(
    state: RedisState, redis_client: redis.Redis, left: str
) -> None:
    """Whatever its status is."""
    found = stored_formats.load(redis_client, 1)
    for status, execution in found.executions.items():
        if status != left:
            for key in redis_client.keys(f"fe:x:{execution}:*"):
                redis_client.delete(key)
            for index in ("pending", "running", "completed", "failed"):
                redis_client.zrem(f"fe:index:{index}", execution)
    redis_client.delete("fe:q:orchestrator", "fe:q:worker", "fe:timers")
    with pytest.raises(StoredFormatError, match="format 1"):
        FormatCheck(state).ensure()


@pytest.mark.proves("older-format")
def test_the_api_does_not_start_on_format_1(valkey: Valkey, redis_client: redis.Redis) -> None:
    """It says so as of a wrong setting: another database may be named."""
    stored_formats.load(redis_client, 1)
    with pytest.raises(SettingsError, match="REDIS_URL: this Redis holds state of format 1"):
        build_executions(Settings(redis_url=valkey.url), Registry())


def test_an_api_that_started_without_redis_checks_before_its_first_use() -> None:
    """It serves `/health` meanwhile, and touches nothing of another version afterwards."""
    server = Valkey()
    server.port = free_port()
    executions = build_executions(Settings(redis_url=server.url), Registry())
    with pytest.raises(StoreUnavailableError):
        executions.status("0" * 27)
    server.start()
    try:
        with server.connect() as client:
            stored_formats.load(client, 1)
            with pytest.raises(StoredFormatError):
                executions.status("0" * 27)
            assert client.get("fe:format") is None
    finally:
        server.close()


@pytest.mark.proves("older-processes")
def test_a_process_waits_for_old_processes_and_then_refuses(
    state: RedisState, redis_client: redis.Redis
) -> None:
    """Version 0.1 would take this version's messages and understand none of them."""
    redis_client.xgroup_create("fe:q:worker", "fe", id="0", mkstream=True)
    redis_client.xgroup_createconsumer("fe:q:worker", "fe", "some-host-77-abcdef12")
    with pytest.raises(StoredFormatError, match="1: some-host-77"):
        StartCheck(state, "worker", retry_s=0.01, alive_ms=50).wait(threading.Event())
    redis_client.xgroup_delconsumer("fe:q:worker", "fe", "some-host-77-abcdef12")
    StartCheck(state, "worker").wait(threading.Event())
    assert redis_client.get("fe:format") == b"3"


def test_a_process_of_this_version_is_no_hindrance(state: RedisState, redis_client: redis.Redis) -> None:
    """Nor is one of a later version, which reads what this one writes."""
    redis_client.xgroup_create("fe:q:worker", "fe", id="0", mkstream=True)
    for name in ("fe2-host-1-abcdef12", "fe3-host-1-abcdef12"):
        redis_client.xreadgroup("fe", name, {"fe:q:worker": ">"})
    FormatCheck(state).ensure()


@pytest.mark.parametrize("mark", ["4", "1", "two", ""])
def test_another_format_is_refused(state: RedisState, redis_client: redis.Redis, mark: str) -> None:
    """A reader understands its own format and the one before."""
    redis_client.set("fe:format", mark)
    with pytest.raises(StoredFormatError, match=r"this version reads \[2, 3\]"):
        FormatCheck(state).ensure()


@pytest.mark.parametrize("mark", ["2", "3"])
def test_both_formats_are_accepted_and_their_mark_is_kept(
    state: RedisState, redis_client: redis.Redis, mark: str
) -> None:
    """Processes of format 2 may still run there: they must not find a mark that they refuse."""
    redis_client.set("fe:format", mark)
    FormatCheck(state).ensure()
    assert redis_client.get("fe:format") == mark.encode()


def test_an_empty_server_gets_its_mark(state: RedisState, redis_client: redis.Redis) -> None:
    """Also one that has lost its data while processes ran: what they stored since is of this format."""
    FormatCheck(state).ensure()
    assert redis_client.get("fe:format") == b"3"


def test_state_of_format_2_without_its_mark_is_accepted(redis_client: redis.Redis, state: RedisState) -> None:
    """The server has lost its data, and processes that still ran have stored new executions."""
    stored_formats.load(redis_client, 2)
    redis_client.delete("fe:format")
    FormatCheck(state).ensure()
    assert redis_client.get("fe:format") == b"3"


@pytest.mark.proves("same-format")
def test_what_an_earlier_process_of_format_2_stored_is_understood(valkey: Valkey) -> None:
    """A fixture that later versions must read: each execution is shown, goes on and ends right."""
    with valkey.connect() as client:
        ids = stored_formats.load(client, 2).executions
        client.xgroup_destroy("fe:q:orchestrator", "fe")
        client.xgroup_destroy("fe:q:worker", "fe")
        harness = Harness(valkey.url)
        try:
            statuses = {name: harness.api.executions.status(id).status for name, id in ids.items()}
            assert statuses == {
                "failed": "failed",
                "completed": "completed",
                "running": "running",
                "triggered": "running",
                "pending": "pending",
            }
            assert harness.statuses(ids["failed"]) == final_statuses(diamond(), {"b"}.__contains__)
            assert harness.results(ids["completed"]) == {"a": 1, "b": 2}
            harness.drain()
            for name in ("failed", "pending"):
                harness.trigger(ids[name])
            harness.drain()
            for name in ("failed", "running", "triggered", "pending"):
                assert harness.results(ids[name]) == expected_values(diamond())
            for execution in ids.values():  # the fixture holds no lifetimes
                for key in client.keys(f"fe:x:{execution}:*"):
                    control = key.endswith(b":control")
                    client.expire(key, 3600 if control else 3660, nx=True)
            check_everything(client)
        finally:
            harness.close()


BEFORE = {
    "failed": (
        "failed",
        {"a": "completed", "b": "skipped", "c": "completed", "d": "failed", "early": "completed"},
    ),
    "completed": (
        "completed",
        {"a": "completed", "b": "skipped", "c": "failed", "d": "completed", "early": "completed"},
    ),
    "waiting": (
        "running",
        {"a": "waiting", "b": "pending", "c": "pending", "d": "pending", "early": "pending"},
    ),
    "running": ("running", dict.fromkeys(("b", "c", "d", "early"), "pending") | {"a": "queued"}),
    "triggered": ("running", dict.fromkeys(("a", "b", "c", "d", "early"), "pending")),
    "pending": ("pending", dict.fromkeys(("a", "b", "c", "d", "early"), "pending")),
}


@pytest.mark.proves("same-format")
def test_what_an_earlier_process_of_format_3_stored_is_understood(valkey: Valkey) -> None:
    """The same of conditions, retries and tolerated failures: what waits is tried again."""
    with valkey.connect() as client:
        ids = stored_formats.load(client, 3).executions
        client.xgroup_destroy("fe:q:orchestrator", "fe")
        client.xgroup_destroy("fe:q:worker", "fe")
        harness = Harness(valkey.url)
        try:
            views = {name: harness.api.executions.status(id) for name, id in ids.items()}
            assert {
                name: (view.status, harness.statuses(ids[name])) for name, view in views.items()
            } == BEFORE
            assert harness.results(ids["completed"]) == {"a": 1, "d": 1, "early": 2}
            tolerated = {node.id: node for node in views["completed"].nodes}["c"]
            assert tolerated.tolerated
            harness.drain()
            for name in ("failed", "pending"):
                harness.trigger(ids[name])
            harness.drain()
            for name in ("failed", "waiting", "running", "triggered", "pending"):
                assert harness.results(ids[name]) == {"a": 1, "c": 2, "d": 3, "early": 2}
                assert harness.api.executions.status(ids[name]).status == "completed"
            assert harness.api.executions.status(ids["waiting"]).nodes[0].attempt == 2
            for execution in ids.values():  # the fixture holds no lifetimes
                for key in client.keys(f"fe:x:{execution}:*"):
                    control = key.endswith(b":control")
                    client.expire(key, 3600 if control else 3660, nx=True)
            check_everything(client)
        finally:
            harness.close()
