"""Tasks for handlers that the worker does not know wait in lines beside their queue, a line a handler.

While deployments are mixed, a worker gets tasks for handlers that only newer workers have. It moves such a
task to its handler's line, once and uncounted. Only workers that know the handler read the line, so workers
that do not cannot keep a task from them, however many there are.

A sorted set lists the handlers that have a line, by the time at which a worker last knew them: every worker
that knows one says so with each renewal of its leases. At first it is the time at which the line began. Once
that is long ago, a worker that does not know the handler ends the line's tasks: nobody has known it since.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import redis
import structlog

from flowengine.broker.delivery import Delivery
from flowengine.broker.policy import KnownHandlers
from flowengine.broker.streams.consumer_group import ConsumerGroup, RawEntry
from flowengine.broker.streams.wire import UndecodablePayloadError, acknowledge, decode, post
from flowengine.errors import StoreUnavailableError
from flowengine.execution.messages import Callback
from flowengine.queues import ORCHESTRATOR_QUEUE, handler_line, handlers_key, queue_of_line

PAGE: Final = 20
"""How many tasks one transaction ends."""

PAGES_A_TURN: Final = 5

log = structlog.stdlib.get_logger(__name__)


class _Task(msgspec.Struct):
    handler: str


_task = msgspec.json.Decoder(_Task)


class HandlerLines:
    """The lines beside the queues of one process.

    `pass_on` is called by any thread, `look` by the one that keeps leases, `readable` by consumers.
    """

    def __init__(self, group: ConsumerGroup, known: KnownHandlers) -> None:
        self._group = group
        self._known = known
        # Who knows a handler says so three times a lease, and must be believed that long.
        self._limit_ms = max(int(known.patience_s * 1000), group.lease_ms)
        self._readable: dict[str, tuple[str, ...]] = {}

    # -- into a line

    def pass_on(self, delivery: Delivery, entries: Sequence[int]) -> None:
        """Move payloads of a running message to their handlers' lines. Raises StoreUnavailableError."""
        group, queue = self._group, queue_of_line(delivery.queue)
        chosen = [delivery.entries[index] for index in entries]
        handlers = [_task.decode(entry.payload or b"").handler for entry in chosen]
        try:
            now = group.now_ms()
            pipe = group.client.pipeline(transaction=True)
            for entry, handler in zip(chosen, handlers, strict=True):
                pipe.execute_command("XADD", group.stream(handler_line(queue, handler)), "*", *entry.fields)
                pipe.execute_command("ZADD", self._index(queue), "NX", now, handler)
            acknowledge(pipe, group.stream(delivery.line), [entry.id for entry in chosen])
            pipe.execute()
        except redis.RedisError as error:
            raise StoreUnavailableError(f"a task for another worker stays here: {error}") from error
        delivery.confirm(entries)
        log.info("broker.tasks_passed_on", queue=queue, handlers=sorted(set(handlers)), count=len(chosen))

    # -- out of it

    def readable(self, queue: str) -> tuple[str, ...]:
        """The handlers that this process knows and that had a line at the last look."""
        return self._readable.get(queue, ())

    def look(self, queue: str) -> None:
        """Say which of the handlers that have a line this process knows; give up those that nobody knows.

        Ends at most 100 tasks. If the server refuses a command, the lines wait: that must not keep leases
        from being renewed. Raises redis.RedisError if it cannot be reached.
        """
        try:
            self._look(queue)
        except redis.exceptions.ReadOnlyError:
            raise
        except redis.ResponseError as error:
            log.warning("broker.handler_lines_not_seen_to", queue=queue, error=str(error))

    def _look(self, queue: str) -> None:
        found = self._found(queue)
        known = tuple(handler for handler in found if self._known.knows(handler))
        self._readable[queue] = known
        if not found:
            return
        now = self._group.now_ms()
        if known:
            scores = [part for handler in known for part in (now, handler)]
            self._group.client.execute_command(b"ZADD", self._index(queue), b"XX", *scores)
        pages = PAGES_A_TURN
        for handler, since in found.items():
            if handler not in known and now - since > self._limit_ms:
                pages -= self._give_up(queue, handler, now, pages)

    def _found(self, queue: str) -> dict[str, float]:
        """The handlers that have a line, by when they were last known. What is no name is removed alone."""
        key = self._index(queue)
        found: dict[str, float] = {}
        for member, score in self._group.scores(key):
            try:
                found[member.decode()] = score
            except UnicodeDecodeError:
                self._group.client.execute_command(b"ZREM", key, member)
                log.error(
                    "broker.handler_line_set_aside", queue=queue, member=member[:100].decode(errors="replace")
                )
        return found

    def _give_up(self, queue: str, handler: str, now: int, pages: int) -> int:
        """End the tasks of a line whose handler nobody has known for too long; returns how many pages of
        them.

        Its time is WATCHed: a worker that says meanwhile that it knows the handler gets its tasks.
        """
        stream = self._group.stream(handler_line(queue, handler))
        for page in range(pages):
            with self._group.client.pipeline(transaction=True) as pipe:
                pipe.watch(self._index(queue), stream)
                since = pipe.execute_command(b"ZSCORE", self._index(queue), handler)
                if since is None or now - float(since) <= self._limit_ms:
                    return page
                found: list[RawEntry] = pipe.execute_command(b"XRANGE", stream, b"-", b"+", b"COUNT", PAGE)
                pipe.multi()
                for _, fields in found:
                    if told := self._last_words(fields, now - int(float(since))):
                        post(pipe, ORCHESTRATOR_QUEUE, told, self._group.partition, self._group.owner)
                if found:
                    acknowledge(pipe, stream, [entry for entry, _ in found])
                else:
                    self._remove(pipe, queue, handler)
                try:
                    pipe.execute()
                except redis.WatchError:
                    return page
            if not found:
                return page
            log.warning("broker.handler_given_up", queue=queue, handler=handler, count=len(found))
        return pages

    def _last_words(self, fields: Sequence[bytes], unknown_ms: int) -> Callback | None:
        try:
            return self._known.on_unknown(decode(fields[1].decode(), fields[3]), unknown_ms)
        except (UndecodablePayloadError, LookupError, UnicodeDecodeError):
            log.error("broker.unknown_task_not_told", fields=[field[:100] for field in fields], exc_info=True)
            return None

    def tidy(self, queue: str, handler: str) -> None:
        """Remove a line in which nothing waits and nothing runs. Raises redis.RedisError."""
        stream = self._group.stream(handler_line(queue, handler))
        with self._group.client.pipeline(transaction=True) as pipe:
            pipe.watch(stream)
            if pipe.execute_command(b"XLEN", stream):
                return
            pipe.multi()
            self._remove(pipe, queue, handler)
            try:
                pipe.execute()
            except redis.WatchError:
                return
        self._readable[queue] = tuple(each for each in self.readable(queue) if each != handler)

    def _remove(self, pipe: redis.client.Pipeline, queue: str, handler: str) -> None:
        pipe.execute_command("ZREM", self._index(queue), handler)
        pipe.execute_command("DEL", self._group.stream(handler_line(queue, handler)))

    def _index(self, queue: str) -> str:
        return handlers_key(queue, self._group.partition, self._group.owner)

    def drop(self, queue: str) -> None:
        """Drop every task of every line beside a queue."""
        for handler in self._found(queue):
            self._group.client.delete(self._group.stream(handler_line(queue, handler)))
        self._group.client.delete(self._index(queue))
