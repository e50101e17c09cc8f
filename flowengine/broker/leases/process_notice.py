"""Says what this process is and does, for those who operate the service; with each renewal of its leases.

The notice lapses with the leases, so that nobody has to remove that of a process that has died.
"""

from __future__ import annotations

import os
import socket
import uuid
from functools import cache
from importlib.metadata import version

import redis
import structlog

from flowengine.broker.held_messages import HeldMessages
from flowengine.broker.streams.consumer_group import ConsumerGroup
from flowengine.engine.process_note import ProcessNote, encode_note
from flowengine.queues import CONSUMER_PREFIX, process_key

log = structlog.stdlib.get_logger(__name__)


def consumer_name_of_process() -> str:
    """The format's version, host, process and a random part.

    It is never reused, so that a restart is not taken for its predecessor.
    """
    return f"{CONSUMER_PREFIX}{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


class ProcessNotice:
    """The notice of one process, under its consumer's name. Without a `service` there is none."""

    def __init__(self, group: ConsumerGroup, held: HeldMessages, service: str) -> None:
        self._group = group
        self._held = held
        self._service = service
        self._started_at: int | None = None

    def write(self) -> None:
        """Write it anew. Raises redis.RedisError if the server cannot be reached.

        If it refuses the command, the process goes on unseen: that must not keep leases from being renewed.
        """
        if not self._service:
            return
        if self._started_at is None:
            self._started_at = self._group.now_ms()
        note = encode_note(self._note(self._started_at))
        try:
            self._group.client.execute_command(b"SET", self._key, note, b"PX", self._group.lease_ms)
        except redis.exceptions.ReadOnlyError:
            raise
        except redis.ResponseError as error:
            log.info("broker.process_not_noted", error=str(error))

    def remove(self) -> None:
        """This process has stopped. Never raises: the notice lapses by itself."""
        if self._service:
            try:
                self._group.client.execute_command(b"DEL", self._key)
            except redis.RedisError as error:
                log.info("broker.process_not_noted", error=str(error) or type(error).__name__)

    def _note(self, started_at: int) -> ProcessNote:
        return ProcessNote(
            service=self._service,
            host=socket.gethostname(),
            pid=os.getpid(),
            version=_version(),
            started_at=started_at,
            threads=self._held.threads,
            busy=self._held.busy,
            stopping=self._held.stopping,
            concurrency=self._held.concurrency,
            async_running=self._held.busy_async,
        )

    @property
    def _key(self) -> str:
        return process_key(self._group.consumer.decode(), self._group.partition)


@cache
def _version() -> str:
    return version("flowengine")
