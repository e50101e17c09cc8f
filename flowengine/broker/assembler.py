"""From stream entries to deliveries: what is joined, what cannot be read, what has been tried enough.

Pure: talks to no server and reads no clock.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import dramatiq
import msgspec
from dramatiq.errors import DecodeError

from flowengine.broker.delivery import Delivery, Entry
from flowengine.broker.policy import Policies
from flowengine.broker.streams.consumer_group import RawEntry
from flowengine.broker.streams.dramatiq_messages import decode_message
from flowengine.broker.streams.wire import MESSAGE, Understood, version_of

JOINED_BYTES: Final = 4 * 1024 * 1024
"""The payloads of one joined delivery together; a single larger one still goes alone."""


class _Batch:
    __slots__ = ("entries", "size")

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.size = 0


class Assembled(msgspec.Struct, frozen=True):
    """What one fetch amounts to."""

    deliveries: list[Delivery]
    undecodable: list[Entry]
    exhausted: list[Entry]
    not_understood: list[Entry]


class Assembler:
    """Makes deliveries of one queue. `release` is told when a delivery's entries are settled.

    `understood`: the engine messages that this process can deal with. `consumer`: in whose name entries are
    held. `return_part` hands back entries that were not begun. `stream` is the queue's key.
    """

    def __init__(
        self,
        queue: str,
        policies: Policies,
        *,
        understood: Understood,
        max_deliveries: int,
        release: Callable[[str, Iterable[Entry]], None],
        return_part: Callable[[Delivery, Sequence[int]], None],
        stream: str,
        threads: Callable[[], int] = lambda: 1,
        consumer: str = "",
    ) -> None:
        self._queue = queue
        self._threads = threads
        self._consumer = consumer
        self._policies = policies
        self._understood = understood
        self._max_deliveries = max_deliveries
        self._release = release
        self._return_part = return_part
        self._stream = stream
        self._names = {name.encode(): name for name in policies}

    def assemble(self, raw: Iterable[tuple[RawEntry, int]]) -> Assembled:
        """Deliveries in the order of their first entries; each raw entry comes with its delivery count."""
        done = Assembled([], [], [], [])
        open_batches: dict[str, _Batch] = {}
        batches: list[_Batch] = []
        shared: dict[str, list[Entry]] = {}
        for (entry_id, fields), count in raw:
            entry = self._read(entry_id, fields or [], count)
            if entry.payload is not None and not self._understood.covers(entry.fields):
                done.not_understood.append(entry)
            elif self._is_exhausted(entry):
                done.exhausted.append(entry)
            elif entry.payload is not None and self._is_shared(entry):
                shared.setdefault(entry.actor, []).append(entry)
            elif entry.payload is not None:
                self._place(entry, open_batches, batches)
            else:
                self._place_ordinary(entry, done)
        done.deliveries.extend([self._engine_delivery(batch.entries) for batch in batches])
        for actor, entries in shared.items():
            done.deliveries.extend([self._engine_delivery(part) for part in self._shares(actor, entries)])
        return done

    def _is_shared(self, entry: Entry) -> bool:
        policy = self._policies.get(entry.actor)
        if policy is None or policy.may_join is None or entry.deliveries > 1 or entry.payload is None:
            return False
        return policy.may_join(entry.payload)

    def _shares(self, actor: str, entries: list[Entry]) -> list[list[Entry]]:
        """For two threads: more would wait for the interpreter lock as long as they work."""
        size = min(self._policies[actor].join, math.ceil(len(entries) / min(2, self._threads())))
        return [entries[at : at + size] for at in range(0, len(entries), size)]

    def _read(self, entry_id: bytes, fields: list[bytes], count: int) -> Entry:
        if version_of(fields) is not None:
            name = self._names.get(fields[1])
            if name is None:
                name = fields[1].decode(errors="replace")
            return Entry(entry_id, count, name, fields[3], fields)
        return Entry(entry_id, count, "", None, fields)

    def _is_exhausted(self, entry: Entry) -> bool:
        if entry.deliveries <= self._max_deliveries:
            return False
        if entry.payload is None:
            return True
        policy = self._policies.get(entry.actor)
        return policy is not None and policy.on_dead is not None

    def _place(self, entry: Entry, open_batches: dict[str, _Batch], batches: list[_Batch]) -> None:
        policy = self._policies.get(entry.actor)
        size = len(entry.payload or b"")
        alone = policy is None or policy.join == 1 or policy.may_join is not None or entry.deliveries > 1
        batch = None if alone else open_batches.get(entry.actor)
        if (
            batch is None
            or policy is None
            or len(batch.entries) >= policy.join
            or batch.size + size > JOINED_BYTES
        ):
            batch = _Batch()
            batches.append(batch)
            if not alone:
                open_batches[entry.actor] = batch
        batch.entries.append(entry)
        batch.size += size

    def _place_ordinary(self, entry: Entry, done: Assembled) -> None:
        if len(entry.fields) != 2 or entry.fields[0] != MESSAGE:
            done.undecodable.append(entry)
            return
        try:
            message = decode_message(entry.fields[1])
        except DecodeError:
            done.undecodable.append(entry)
            return
        if message.queue_name != self._queue:
            # Dramatiq finds a message's consumer by its queue's name.
            message = message.copy(queue_name=self._queue)
        done.deliveries.append(self._delivery(message, [entry], engine=False))

    def _engine_delivery(self, batch: list[Entry]) -> Delivery:
        first = batch[0]
        message: dramatiq.Message[Any] = dramatiq.Message(
            queue_name=self._queue,
            actor_name=first.actor,
            args=([entry.payload for entry in batch],),
            kwargs={},
            options={},
            message_id=first.id.decode(),
            message_timestamp=int(first.id.partition(b"-")[0]),
        )
        return self._delivery(message, batch, engine=True)

    def _delivery(self, message: dramatiq.Message[Any], entries: list[Entry], *, engine: bool) -> Delivery:
        return Delivery(
            message,
            self._queue,
            entries,
            engine=engine,
            release=self._release,
            return_part=self._return_part,
            stream=self._stream,
            consumer=self._consumer,
        )
