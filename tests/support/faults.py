"""Stopping a process at its n-th Redis command, in four ways, at the one place all commands pass.

A Gate counts the commands of every process that shares it and strikes once. Of what the commands mean it
knows one thing, which of them store something; of who sends them nothing: the store and the broker both get
their connections here.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final, Literal, TypeAlias

import redis
from redis.backoff import NoBackoff
from redis.connection import ConnectionPool
from redis.retry import Retry

from flowengine.store.connection.packing import unpack
from flowengine.store.connection.sockets import LeanConnection
from tests.support.checks.partitions import PartitionCheck

Way: TypeAlias = Literal["fail_before", "fail_after", "die_before", "die_after"]
WAYS: Final[tuple[Way, ...]] = ("fail_before", "fail_after", "die_before", "die_after")

READS: Final = frozenset(
    {
        *("EXISTS", "GET", "HGET", "HGETALL", "HMGET", "INFO", "TIME", "UNWATCH", "WATCH", "XINFO"),
        *("XPENDING", "XRANGE", "ZCARD", "ZRANGE"),
    }
)
"""Commands that store nothing: what a connection WATCHes is gone with it. One that is not here may be one."""

UNCOUNTED: Final = frozenset({"HELLO", "CLIENT", "AUTH", "SELECT", "PING"})


class ProcessDied(SystemExit):
    """The process is gone: passes every `except Exception`, and threads end on it without a word."""


class Gate:
    """Counts commands and strikes at number `at` (the first is 1), once; never when `at` is None.

    `only` limits the count to processes of these names.

    `apart`: the ways and commands so far that differ in what they leave behind. What is sent together is cut
    off somewhere: the process hears nothing of any of it, and the server has done what came before the cut.
    Two cuts with nothing but reads between them are one, and so are all cuts in a transaction before EXEC.
    A process that dies leaves only what is stored and what it did to the world: until it stores something
    more or `acts`, all its deaths are one. An error it hears of, and goes on from there: each is its own.
    """

    def __init__(
        self, at: int | None = None, way: Way = "fail_before", *, only: Callable[[str], bool] | None = None
    ) -> None:
        self.count = 0
        self.struck: str | None = None
        self.apart: list[tuple[Way, int]] = []
        self._deaths: set[tuple[str, int, int]] = set()
        self._acts = 0
        self._stored = 0
        self._at = at
        self._way = way
        self._only = only
        self._guard = threading.Lock()

    def pass_through(self, line: Line, commands: Sequence[Sequence[object]]) -> int | None:
        """How many of the commands still execute before the strike; None when all may pass."""
        if line.dead:
            raise ProcessDied(line.name)
        if self._only is not None and not self._only(line.name):
            return None
        with self._guard:
            first = self.count + 1
            self.count += len(commands)
            self._note("fail_before", "die_before", line.name, first)
            for place in _storing(commands):
                self._stored += 1
                self._note("fail_after", "die_after", line.name, first + place)
            if self._at is None or self.struck is not None or not first <= self._at <= self.count:
                return None
            hit = self._at - first
            self.struck = f"{line.name}: {_shown(commands[hit])}"
        return hit + 1 if self._way.endswith("after") else hit

    def acts(self) -> None:
        """A process begins with something else, or does what the server does not see: from here on its death
        leaves something else behind."""
        with self._guard:
            self._acts += 1

    def _note(self, error: Way, death: Way, name: str, at: int) -> None:
        self.apart.append((error, at))
        left = (name, self._acts, self._stored)
        if left not in self._deaths:
            self._deaths.add(left)
            self.apart.append((death, at))

    @property
    def kills(self) -> bool:
        """Whether the process that is struck dies of it."""
        return self._way.startswith("die")


class Line:
    """One process's way to Redis. `dead`: every later command of it fails too."""

    def __init__(self, name: str, gate: Gate) -> None:
        self.name = name
        self.gate = gate
        self.dead = False
        self._connections: list[GatedConnection] = []

    def kill(self) -> None:
        """Every later command fails, and whatever waits for an answer gets none."""
        self.dead = True
        for connection in list(self._connections):
            connection.cut()

    def close(self) -> None:
        """Close all of its connections."""
        for connection in self._connections:
            connection.leave()

    def add(self, connection: GatedConnection) -> None:
        """One more connection of this process."""
        self._connections.append(connection)

    def connect(self, url: str) -> redis.Redis:
        """A client like the product's own, whose connections pass the gate."""
        pool = ConnectionPool.from_url(
            url,
            connection_class=GatedConnection,
            line=self,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=5.0,
            socket_connect_timeout=2.0,
            protocol=2,
            driver_info=None,
        )
        return redis.Redis(connection_pool=pool)


class _Unpacked(list[Any]):
    """Commands on their way from packing to sending."""


class GatedConnection(LeanConnection):
    """A connection that asks its process's gate before it sends anything."""

    def __init__(self, *, line: Line, **options: Any) -> None:
        self._line = line
        self._partitions = PartitionCheck()
        self._plain.__init__(**options)
        line.add(self)

    @property
    def _plain(self) -> Any:
        """This connection without the gate; redis-py leaves these methods untyped."""
        return super()

    def cut(self) -> None:
        """As the kernel does when a process is gone; safe while another thread reads."""
        sock: Any = self._sock
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def leave(self) -> None:
        """Close it."""
        self._plain.disconnect()

    def pack_commands(self, commands: Any) -> Any:
        """Keep the commands apart, so that a pipeline can be cut in its middle."""
        return _Unpacked(map(unpack, commands))

    def send_command(self, *args: Any, **kwargs: Any) -> None:
        """Send one command."""
        if args and str(args[0]) in UNCOUNTED:
            self._plain.send_command(*args, **kwargs)
        else:
            self.send_packed_command(_Unpacked([args]))

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        """Send what may pass; at the strike, execute the part before it, and break the connection."""
        if not isinstance(command, _Unpacked):
            self._plain.send_packed_command(command, check_health)
            return
        self._partitions.take(command)
        passing = self._line.gate.pass_through(self._line, command)
        if passing is None:
            self._plain.send_packed_command(self._plain.pack_commands(command), check_health)
            return
        if self._line.gate.kills:
            self._line.dead = True
        self._execute(command[:passing])
        self._plain.disconnect()
        if self._line.gate.kills:
            self._line.kill()
            raise ProcessDied(self._line.name)
        raise redis.ConnectionError(f"struck at {self._line.gate.struck}")

    def _execute(self, commands: list[Any]) -> None:
        if commands:
            self._plain.send_packed_command(self._plain.pack_commands(commands))
        for _ in commands:
            try:
                self._plain.read_response()
            except redis.ResponseError:
                continue


def _storing(commands: Sequence[Sequence[object]]) -> Iterator[int]:
    """The places of what may store something: EXEC, and what does not read outside a transaction."""
    inside = False
    for place, command in enumerate(commands):
        name = _text(command[0]).upper()
        inside = (inside or name == "MULTI") and name != "EXEC"
        if not inside and name not in READS:
            yield place


def _shown(command: Sequence[object]) -> str:
    return " ".join(_text(part) for part in command[:2])


def _text(part: object) -> str:
    return part.decode(errors="replace") if isinstance(part, bytes) else str(part)
