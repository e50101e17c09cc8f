"""A server that will never let us work is refused at the start; one that is not there is waited for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeAlias

import pytest

from flowengine.cli.processes.redis_access import check_access
from flowengine.errors import SettingsError
from flowengine.settings import Settings
from tests.support.servers.valkey import Valkey, free_port

PASSWORD = "hunter2hunter2"

Ended: TypeAlias = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def guarded() -> Iterator[Valkey]:
    """A server with two databases, a user without rights on our keys, and one without a command."""
    server = Valkey(config={"databases": "2"})
    server.start()
    try:
        with server.connect() as client:
            client.execute_command("ACL", "SETUSER", "other", "on", f">{PASSWORD}", "~other:*", "+@all")
            client.execute_command("ACL", "SETUSER", "reader", "on", f">{PASSWORD}", "~*", "+@read", "+ping")
            client.execute_command("ACL", "SETUSER", "ours", "on", f">{PASSWORD}", "~fe:*", "+@all")
            client.execute_command(
                "ACL", "SETUSER", "nowhere", "on", f">{PASSWORD}", "~*", "+@all", "-select"
            )
        yield server
    finally:
        server.close()


@pytest.mark.proves("url-quoted")
@pytest.mark.parametrize(
    ("user", "database", "reason"),
    [
        ("", 2, "no database of that number"),
        (f"other:{PASSWORD}@", 0, "no rights on the keys fe:*"),
        (f"reader:{PASSWORD}@", 0, "may not run WATCH, UNWATCH, MULTI, EXEC and perhaps more: "),
        (f"nowhere:{PASSWORD}@", 1, "may not run select: on the server, say ACL SETUSER USER +select"),
        ("ours:wrong-canary@", 0, "refuses its user name or password"),
        (f"nobody:{PASSWORD}@", 0, "refuses its user name or password"),
    ],
)
def test_wrong_access_is_refused_without_the_password(
    guarded: Valkey, user: str, database: int, reason: str
) -> None:
    """It would be wrong for ever."""
    url = f"redis://{user}127.0.0.1:{guarded.port}/{database}"
    with pytest.raises(SettingsError, match=r"^REDIS_URL: ") as caught:
        check_access(Settings(redis_url=url), "api")
    assert reason in str(caught.value)
    assert PASSWORD not in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("option", ["ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_ca_path"])
def test_a_file_of_the_url_that_is_not_there_is_named(option: str, tmp_path: Path) -> None:
    """It was taken for a server that does not answer, and waited for."""
    url = f"rediss://:{PASSWORD}@127.0.0.1:1/0?{option}={tmp_path / 'none.pem'}"
    with pytest.raises(SettingsError, match=rf"its option {option} names .*/none\.pem") as caught:
        check_access(Settings(redis_url=url), "api")
    assert PASSWORD not in str(caught.value)


def test_server_that_asks_for_a_password_is_named() -> None:
    """The URL has none."""
    server = Valkey()
    server.start()
    try:
        with server.connect() as client:
            client.config_set("requirepass", PASSWORD)
        with pytest.raises(SettingsError, match="asks for a password"):
            check_access(Settings(redis_url=server.url), "api")
    finally:
        server.close()


def test_right_access_and_a_server_that_is_not_there_are_no_reason_to_refuse(guarded: Valkey) -> None:
    """It may come yet."""
    check_access(Settings(redis_url=f"redis://ours:{PASSWORD}@127.0.0.1:{guarded.port}/1"), "api")
    check_access(Settings(redis_url=f"redis://127.0.0.1:{free_port()}/0"), "api")


COMMANDS = [("api", "--port", "0"), ("orchestrator",), ("worker",), ("run", "x.yaml"), ("dev", "--port", "0")]


@pytest.mark.parametrize("command", COMMANDS)
def test_each_service_stops_at_once(guarded: Valkey, tmp_path: Path, command: tuple[str, ...]) -> None:
    """Exit code 3, one line of error, no traceback."""
    done = started(f"redis://127.0.0.1:{guarded.port}/7", tmp_path, command)
    assert done.returncode == 3, done.stderr
    assert "error: REDIS_URL: the server has no database of that number" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.proves("redis-unfit")
@pytest.mark.parametrize("command", COMMANDS)
def test_each_service_refuses_a_server_that_evicts(
    private_valkey: Callable[..., Valkey], tmp_path: Path, command: tuple[str, ...]
) -> None:
    """It says what to set."""
    server = private_valkey()
    with server.connect() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
    done = started(server.url, tmp_path, command)
    assert done.returncode == 3, done.stderr
    assert "set maxmemory-policy noeviction" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def before_a_replica(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Ended]]:
    """How each command ends on a replica, by its first word. They run at once: most of it is waiting."""
    server = Valkey()
    server.start()
    try:
        with server.connect() as client:
            client.execute_command("REPLICAOF", "127.0.0.1", free_port())
        names = [command[0] for command in COMMANDS]
        folders = [tmp_path_factory.mktemp(name) for name in names]
        with ThreadPoolExecutor(len(COMMANDS)) as pool:
            ended = list(pool.map(partial(started, server.url), folders, COMMANDS))
        yield dict(zip(names, ended, strict=True))
    finally:
        server.close()


@pytest.mark.proves("redis-unfit")
@pytest.mark.parametrize("command", [command[0] for command in COMMANDS])
def test_each_service_refuses_a_replica(before_a_replica: Mapping[str, Ended], command: str) -> None:
    """Some wait first: it may become the primary."""
    done = before_a_replica[command]
    assert done.returncode == 3, done.stderr
    assert "this Redis is a replica" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def started(url: str, folder: Path, command: tuple[str, ...]) -> Ended:
    """A command of the tool that ends by itself."""
    (folder / "x.yaml").write_text(
        "name: x\nnodes: [{id: a, handler: compute, config: {operation: add, a: 1, b: 2}}]\n"
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FLOWENGINE_")}
    return subprocess.run(
        [sys.executable, "-P", "-m", "flowengine", *command],
        cwd=folder,
        env={**kept, "REDIS_URL": url},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
