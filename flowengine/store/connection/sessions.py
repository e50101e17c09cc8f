"""Connections to Redis, and the one way in which the store talks over them.

A Session sends commands in one round trip and runs optimistic transactions. It never retries and
never reconnects inside a transaction: a connection that failed is thrown away with all its replies,
because a client that reconnects between WATCH and EXEC loses the WATCH without a word.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
import redis
import structlog
from redis.backoff import NoBackoff
from redis.connection import ConnectionInterface
from redis.retry import Retry

from flowengine.errors import StoreUnavailableError
from flowengine.heuristics import READ_AHEAD_AGAIN_AFTER, READ_AHEAD_FOR_S, READ_AHEAD_TRIES
from flowengine.store.connection.packing import Command, pack, unpack
from flowengine.store.connection.sockets import are_plain, make_lean

log = structlog.stdlib.get_logger()

_MULTI: Final = pack([("MULTI",)])
_EXEC: Final = pack([("EXEC",)])
SOCKET_TIMEOUT_S = 5.0
HEALTH_CHECK_S = 30
UNLIMITED = 2**31 - 1
"""Connections of a client, unless its URL says otherwise: each thread keeps one. redis-py stops at 100."""


def connect(url: str, *, socket_timeout: float = SOCKET_TIMEOUT_S) -> redis.Redis:
    """A client for the URL that retries nothing by itself. Opens no connection yet.

    Raises ValueError for a URL that redis-py does not understand. `socket_timeout` in seconds.
    """
    client = redis.Redis.from_url(
        url,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=socket_timeout,
        socket_connect_timeout=min(socket_timeout, 2.0),
        health_check_interval=HEALTH_CHECK_S,
        max_connections=UNLIMITED,
        protocol=2,
    )
    return make_lean(client)


class Commands(list[Command]):
    """Commands to send together; a CommandSink.

    `may_fail`: the places of those without which the others are worth as much.
    """

    may_fail: tuple[int, ...] = ()

    def without_failures(self, replies: list[Any]) -> list[Any]:
        """A transaction's replies. An error of what may fail is logged, and None in its place."""
        for place in self.may_fail:
            if isinstance(replies[place], redis.ResponseError):
                log.error("store.command_failed", command=unpack(self[place])[:2], error=str(replies[place]))
                replies[place] = None
        return replies

    def execute_command(self, *args: object) -> None:
        """Queue one command."""
        self.append(args)


class WatchedReads(msgspec.Struct, frozen=True):
    """Names to WATCH, and the reads that decide what is written.

    `asked` is what they were made from: of what is equal, the same is WATCHed and read.
    """

    names: tuple[str, ...]
    reads: tuple[Command, ...]
    asked: object


class _Ahead(msgspec.Struct, frozen=True):
    reading: WatchedReads
    replies: list[Any]
    at: float


class Session:
    """One connection of one thread.

    `epoch` counts how often the connection was lost: what was WATCHed in another epoch is not watched. What
    was read ahead is used for `ahead_for_s` seconds; 0: nothing is read ahead. `on_demoted` is told that the
    server is a replica now.
    """

    def __init__(
        self,
        connection: ConnectionInterface,
        *,
        ahead_for_s: float = READ_AHEAD_FOR_S,
        on_demoted: Callable[[], None] = lambda: None,
    ) -> None:
        self._connection = connection
        self._on_demoted = on_demoted
        self._read_replies: Callable[[int, int], list[Any]] | None = getattr(connection, "read_replies", None)
        # redis-py's own connections do not know of commands that are packed already.
        knows = self._read_replies is not None
        self._pack: Callable[[Sequence[Command]], Any] = connection.pack_commands if knows else _pack_all
        self._ahead_for_s = ahead_for_s
        self._watching = False
        self._ahead: _Ahead | None = None
        self._luck = 1
        self._passed_over = 0
        self.epoch = 0

    def call(self, commands: Sequence[Command]) -> list[Any]:
        """The replies of the commands, sent in one round trip, not as a transaction.

        An error reply of one command is raised after all replies have been read.
        Raises StoreUnavailableError when the connection failed: the commands may have been executed.
        """
        return self._accepted(self._exchange(commands))

    def call_each(self, commands: Sequence[Command]) -> list[Any]:
        """Like `call`, but the error of one command is its reply, unless the server refuses them all."""
        replies = self._exchange(commands)
        self._accepted([reply for reply in replies if _refuses(reply)])
        return replies

    def watch(self, names: Sequence[str], reads: Sequence[Command]) -> list[Any]:
        """WATCH these names and no others, and give the replies of the reads: one round trip."""
        self._ahead = None
        head: list[Command] = [("UNWATCH",)] if self._watching else []
        if names:
            head.append(("WATCH", *names))
            self._watching = True
        replies = self.call([*head, *reads])[len(head) :]
        self._watching = bool(names)
        return replies

    def watch_more(self, names: Sequence[str], reads: Sequence[Command], epoch: int) -> list[Any]:
        """WATCH these names beside those that are WATCHed, and give the replies of the reads.

        `epoch`: the session's when the first of them were WATCHed. Raises StoreUnavailableError, also if
        that connection is gone.
        """
        if epoch != self.epoch or not self._connection.is_connected:
            self.discard()
            raise StoreUnavailableError("the connection was lost between two WATCHes")
        self._watching = True
        return self._accepted(self._exchange([("WATCH", *names), *reads], check_health=False))[1:]

    def write(self, commands: Sequence[Command]) -> list[Any]:
        """The replies of a transaction that depends on nothing read before. Raises as `transact` does.

        What an abandoned unit has left WATCHed is dropped first, or the transaction could be refused.
        """
        if self._watching:
            self.unwatch()
        replies = self.transact(commands, self.epoch)
        if replies is None:
            raise StoreUnavailableError("Redis refused a transaction that watches nothing")
        return replies

    def transact(
        self, commands: Sequence[Command], epoch: int, ahead: WatchedReads | None = None
    ) -> list[Any] | None:
        """The replies of MULTI commands EXEC; None when a watched key changed: nothing was done.

        `ahead`: what the next `watch` of this session will probably ask for. It is asked for in the same
        round trip if that has paid of late, and `watched_ahead` has the replies.

        `epoch`: the session's when the keys were WATCHed. Nothing is sent if that connection is gone,
        even if a read has made a new one since; and no health check comes in between, since it
        would reconnect and lose the WATCH.

        Raises StoreUnavailableError when the connection failed (the transaction may have been
        applied: read again and decide) or when the server refused it (out of memory, disk full).
        """
        watched, self._watching = self._watching, False
        if epoch != self.epoch or (watched and not self._connection.is_connected):
            self.discard()
            raise StoreUnavailableError("the connection was lost between WATCH and EXEC")
        self._ahead = None
        tail = self._asked_ahead(ahead)
        replies = self._exchange(
            [_MULTI, *commands, _EXEC, *tail], check_health=not watched, queued=len(commands)
        )
        if tail and ahead is not None:
            replies = self._keep_ahead(replies, len(commands) + 2, ahead)
        result = replies[-1]
        if isinstance(result, redis.ResponseError):
            refused = next((reply for reply in replies if isinstance(reply, redis.ResponseError)), result)
            self._leave_if_demoted(refused)
            raise StoreUnavailableError(f"Redis refused a transaction: {refused}") from result
        if result is None:
            return None
        return self._accepted(commands.without_failures(result) if isinstance(commands, Commands) else result)

    def watched_ahead(self, asked: object) -> list[Any] | None:
        """The replies of what was made from this, if the last transaction was followed by it just now."""
        ahead, self._ahead = self._ahead, None
        if ahead is None:
            return None
        current = time.monotonic() - ahead.at < self._ahead_for_s and self._connection.is_connected
        if not current or ahead.reading.asked != asked:
            self._luck = max(0, self._luck - 1)
            return None
        self._luck = READ_AHEAD_TRIES
        return ahead.replies

    def _asked_ahead(self, ahead: WatchedReads | None) -> list[Command]:
        if ahead is None or not self._ahead_for_s:
            return []
        if not self._luck:
            self._passed_over = (self._passed_over + 1) % READ_AHEAD_AGAIN_AFTER
            if self._passed_over:
                return []
        return [("WATCH", *ahead.names), *ahead.reads]

    def _keep_ahead(self, replies: list[Any], end: int, reading: WatchedReads) -> list[Any]:
        """Keep what was read after the transaction; returns the transaction's own replies."""
        found = replies[end + 1 :]
        self._watching = True
        if not any(isinstance(reply, redis.ResponseError) for reply in replies[end - 1 :]):
            self._ahead = _Ahead(reading, found, time.monotonic())
        return replies[:end]

    def discard(self) -> None:
        """Throw the connection away, with its replies and all that it watches."""
        self.epoch += 1
        self._ahead = None
        self._watching = False
        self._connection.disconnect()

    def unwatch(self) -> None:
        """Drop what is watched."""
        self._ahead = None
        self.call([("UNWATCH",)])
        self._watching = False

    def _accepted(self, replies: list[Any]) -> list[Any]:
        """The replies, unless one is an error, which is raised."""
        if are_plain(replies):
            return replies
        for reply in replies:
            if isinstance(reply, redis.ResponseError):
                self._leave_if_demoted(reply)
                if is_refusal(reply):
                    raise StoreUnavailableError(f"Redis refuses: {reply}") from reply
                raise reply
        return replies

    def _leave_if_demoted(self, error: redis.ResponseError) -> None:
        """A server that has become a replica stays one: a new connection finds the new primary."""
        if is_read_only(error):
            self.discard()
            self._on_demoted()

    def _exchange(
        self, commands: Sequence[Command], *, check_health: bool = True, queued: int = 0
    ) -> list[Any]:
        """The replies. `queued`: the first command is MULTI, and so many follow that it is to queue."""
        connection = self._connection
        try:
            connection.send_packed_command(self._pack(commands), check_health=check_health)
            if self._read_replies is not None:
                return self._read_replies(len(commands), queued)
            return [_read(connection) for _ in commands]
        except (redis.ConnectionError, redis.TimeoutError, OSError) as error:
            self.discard()
            raise StoreUnavailableError(f"Redis does not answer: {error}") from error
        except BaseException:
            self.discard()
            raise


class Sessions:
    """The sessions of one process: one per thread, made on first use."""

    def __init__(self, client: redis.Redis, *, ahead_for_s: float = READ_AHEAD_FOR_S) -> None:
        self._client = client
        self._ahead_for_s = ahead_for_s
        self._local = threading.local()
        self._demotions = 0
        """How often a thread has found that its server is a replica by now."""

    @property
    def client(self) -> redis.Redis:
        """Where connections come from."""
        return self._client

    def here(self) -> Session:
        """The calling thread's session."""
        session: Session | None = getattr(self._local, "session", None)
        if session is None:
            connection = self._client.connection_pool.make_connection()
            session = self._local.session = Session(
                connection, ahead_for_s=self._ahead_for_s, on_demoted=self._count_demotion
            )
            self._local.demotions = self._demotions
        return session

    def current(self) -> Session:
        """The calling thread's session, on a new connection if another thread has found a replica.

        A thread that only reads is never refused, and would read a replica for ever. Not for what is under
        way: a new connection WATCHes nothing.
        """
        session = self.here()
        if self._local.demotions != self._demotions:
            session.discard()
            self._local.demotions = self._demotions
        return session

    def _count_demotion(self) -> None:
        self._demotions += 1
        self._local.demotions = self._demotions

    def retrying_read(self, commands: Sequence[Command]) -> list[Any]:
        """Like `here().call`, once more on a new connection if an idle one turned out to be dead.

        For commands whose repetition is harmless.
        """
        try:
            return self.current().call(commands)
        except StoreUnavailableError:
            return self.current().call(commands)

    def retrying_read_each(self, commands: Sequence[Command]) -> list[Any]:
        """Like `retrying_read`, but the error of one command is its reply: one odd key costs no other."""
        try:
            return self.current().call_each(commands)
        except StoreUnavailableError:
            return self.current().call_each(commands)

    def told(self, command: Command) -> Any | None:
        """The reply of a command; None if the server refuses it: hosted servers may forbid some."""
        try:
            return self.retrying_read([command])[0]
        except redis.ResponseError:
            return None
        except StoreUnavailableError as error:
            if isinstance(error.__cause__, redis.exceptions.NoPermissionError):
                return None
            raise

    def retrying_write(self, commands: Sequence[Command]) -> list[Any]:
        """Like `here().write`, once more on a new connection if an idle one turned out to be dead.

        For a transaction that may be applied twice without harm.
        """
        try:
            return self.current().write(commands)
        except StoreUnavailableError:
            return self.current().write(commands)

    def retrying_watch(self, names: Sequence[str], reads: Sequence[Command]) -> list[Any]:
        """Like `here().watch`, once more on a new connection if an idle one turned out to be dead."""
        try:
            return self.current().watch(names, reads)
        except StoreUnavailableError:
            return self.current().watch(names, reads)


def _pack_all(commands: Sequence[Command]) -> list[bytes]:
    return [pack(commands)]


def _refuses(reply: Any) -> bool:
    return isinstance(reply, redis.ResponseError) and (is_refusal(reply) or is_read_only(reply))


def _read(connection: ConnectionInterface) -> Any:
    try:
        return connection.read_response()
    except redis.ResponseError as error:
        return error


_REFUSING = (
    redis.exceptions.AskError,
    redis.exceptions.ClusterCrossSlotError,
    redis.exceptions.ClusterDownError,
    redis.exceptions.NoPermissionError,
    redis.exceptions.OutOfMemoryError,
    redis.exceptions.ReadOnlyError,
)
_REFUSALS = ("OOM ", "MISCONF ", "READONLY ", "LOADING ", "BUSY ", "NOREPLICAS ", "MASTERDOWN ")


def is_read_only(error: redis.ResponseError) -> bool:
    """Whether the server takes no writes because it is a replica."""
    return isinstance(error, redis.exceptions.ReadOnlyError) or str(error).startswith("READONLY ")


def is_refusal(error: redis.ResponseError) -> bool:
    """Whether the server refuses for a state of its own, which will pass; not for what was asked."""
    return isinstance(error, _REFUSING) or str(error).startswith(_REFUSALS)
