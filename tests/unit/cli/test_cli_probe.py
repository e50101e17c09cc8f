"""The containers' health check."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from flowengine.cli.processes import health_probe as probe
from tests.support.servers.valkey import Valkey
from tests.support.waiting import wait_until


def test_reader_of_this_host_counts() -> None:
    """A connection of the same address that waits in XREADGROUP is a reader, on IPv6 too."""
    assert probe.reads(_row("10.0.0.5:4242", 0, "xreadgroup"), address="10.0.0.5")
    assert probe.reads(_row("[fd00::5]:4242", 3, "xreadgroup"), address="fd00::5")


@pytest.mark.parametrize(
    ("address", "idle", "command"),
    [
        pytest.param("10.0.0.51:4242", 0, "xreadgroup", id="another container's"),
        pytest.param("10.0.0.5:4242", probe.SILENT_S, "xreadgroup", id="one that has stopped reading"),
        pytest.param("10.0.0.5:4242", 0, "client|list", id="the probe's own"),
    ],
)
def test_other_connections_do_not_count(address: str, idle: int, command: str) -> None:
    """Only what reads here and now shows that this container works."""
    assert not probe.reads(_row(address, idle, command), address="10.0.0.5")


def test_refusal_means_nobody_reads() -> None:
    """An error reply lists no connections."""
    assert not probe.reads("-NOPERM this user has no permissions\r\n+OK\r\n", address="10.0.0.5")


def test_probe_asks_a_real_server(
    private_valkey: Callable[..., Valkey], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fails while nobody reads, and succeeds while a reader waits."""
    server = private_valkey()
    monkeypatch.setenv("REDIS_URL", server.url)
    assert probe.main() == 1
    with server.connect() as client:
        client.xgroup_create("q", "g", id="0", mkstream=True)
        reader = threading.Thread(target=_read, args=(client,))
        reader.start()
        try:
            wait_until(lambda: probe.main() == 0, what="the probe's success")
        finally:
            with server.connect() as other:
                other.xadd("q", {"a": "b"})
            reader.join()


def test_probe_says_which_right_is_missing(
    private_valkey: Callable[..., Valkey], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would seem that nothing reads the queue."""
    server = private_valkey()
    monkeypatch.setenv("REDIS_URL", server.url)
    with server.connect() as client:
        client.execute_command("ACL", "SETUSER", "default", "-client|list")
    assert probe.main() == 1
    assert "ACL SETUSER USER +client|list" in capsys.readouterr().out


def test_probe_reads_the_file_that_names_the_server(
    private_valkey: Callable[..., Valkey], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As the containers are told it (REDIS_URL_FILE)."""
    server = private_valkey()
    file = tmp_path / "redis-url"
    file.write_text(f"{server.url}\n")
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setenv("REDIS_URL_FILE", str(file))
    with server.connect() as client:
        client.xgroup_create("q", "g", id="0", mkstream=True)
        reader = threading.Thread(target=_read, args=(client,))
        reader.start()
        try:
            wait_until(lambda: probe.main() == 0, what="the probe's success")
        finally:
            with server.connect() as other:
                other.xadd("q", {"a": "b"})
            reader.join()


def test_probe_fails_where_no_file_names_the_server(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A missing file is a reason, not a traceback."""
    monkeypatch.setenv("REDIS_URL_FILE", str(tmp_path / "missing"))
    assert probe.main() == 1
    assert "missing" in capsys.readouterr().out


def test_probe_fails_where_nothing_listens(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unreachable server is a reason, not a traceback."""
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    assert probe.main() == 1
    assert "Redis does not answer" in capsys.readouterr().out


def _read(client: redis.Redis) -> None:
    client.xreadgroup("g", "c", {"q": ">"}, block=4000)


def _row(address: str, idle: int, command: str) -> str:
    return f"id=3 addr={address} fd=8 name= age=9 idle={idle} flags=b db=0 cmd={command} resp=2"
