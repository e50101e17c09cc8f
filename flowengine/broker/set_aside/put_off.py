"""Messages that this process does not understand wait beside their queue for a process that does.

While versions are mixed, a process meets messages of a newer version and messages for actors that only newer
processes have. Such a message moves to the stream `later` of its queue. That counts no delivery, and the
message never becomes a dead letter. In the queue it would be first in line for ever. Each process looks at
what was put off, and moves back what it understands.
"""

from __future__ import annotations

from typing import Final

import redis
import structlog

from flowengine.broker.delivery import Entry
from flowengine.broker.streams.consumer_group import ConsumerGroup, RawEntry
from flowengine.broker.streams.wire import Understood, acknowledge, version_of
from flowengine.queues import later_key

PAGE: Final = 20
"""How many entries are read at once: each may carry a result of a megabyte."""

PAGES_A_TURN: Final = 5

log = structlog.stdlib.get_logger(__name__)


def put_off(group: ConsumerGroup, queue: str, entry: Entry, *, line: str = "") -> None:
    """Move an entry from its queue to the stream of those put off, as it is. Its deliveries count anew there.

    `line`: it stands in a line beside its queue. Raises redis.RedisError. Then the entry is in one of two.
    """
    pipe = group.client.pipeline(transaction=True)
    pipe.execute_command("XADD", later_key(queue, group.partition, group.owner), "*", *entry.fields)
    acknowledge(pipe, group.stream(line or queue), [entry.id])
    pipe.execute()
    log.warning("broker.message_put_off", queue=queue, actor=entry.actor, version=version_of(entry.fields))


class PutOffMessages:
    """Moves to their queues those messages that this process understands.

    What a process understands does not change while it runs, so it looks at each message once.
    """

    def __init__(self, group: ConsumerGroup, understood: Understood) -> None:
        self._group = group
        self._understood = understood
        self._looked_until: dict[str, bytes] = {}

    def move_back(self, queue: str) -> None:
        """Look at up to 100 messages of this queue, from the last look on. Raises redis.RedisError.

        If the server refuses to write them, the messages wait: that must not keep leases from being renewed.
        """
        try:
            if not self._group.client.execute_command(b"XLEN", self._later(queue)):
                self._looked_until.pop(queue, None)
                return
            for _ in range(PAGES_A_TURN):
                if not self._move_page_back(queue):
                    return
        except redis.RedisError as error:
            # A server that comes back may have lost what it had.
            self._looked_until.pop(queue, None)
            if isinstance(error, redis.exceptions.ReadOnlyError) or not isinstance(
                error, redis.ResponseError
            ):
                raise
            log.warning("broker.messages_stay_put_off", queue=queue, error=str(error))

    def _move_page_back(self, queue: str) -> bool:
        """Whether there may be more to look at.

        The stream is WATCHed, so that of two processes one moves each message. Both may read it.
        """
        later = self._later(queue)
        after = self._looked_until.get(queue)
        start = b"-" if after is None else b"(" + after
        with self._group.client.pipeline(transaction=True) as pipe:
            pipe.watch(later)
            found: list[RawEntry] = pipe.execute_command(b"XRANGE", later, start, b"+", b"COUNT", PAGE)
            understood = [(entry, fields) for entry, fields in found if self._understood.covers(fields)]
            if understood:
                pipe.multi()
                for _, fields in understood:
                    pipe.execute_command("XADD", self._group.stream(queue), "*", *fields)
                pipe.execute_command("XDEL", later, *[entry for entry, _ in understood])
                try:
                    pipe.execute()
                except redis.WatchError:
                    return True
                log.info("broker.messages_moved_back", queue=queue, count=len(understood))
        if found:
            self._looked_until[queue] = found[-1][0]
        return len(found) == PAGE

    def _later(self, queue: str) -> str:
        return later_key(queue, self._group.partition, self._group.owner)
