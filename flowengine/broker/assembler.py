"""Makes deliveries of stream entries, and sorts out those that are not to be delivered.

Pure: talks to no server and reads no clock.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
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
"""The most that the payloads of one joined delivery are together. A larger one is not joined."""


class _Batch:
    __slots__ = ("entries", "size")

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.size = 0


class Assembled(msgspec.Struct, frozen=True):
    """What the entries of one fetch have become.

    `exhausted`: those that were delivered too often.
    """

    deliveries: list[Delivery]
    undecodable: list[Entry]
    exhausted: list[Entry]
    not_understood: list[Entry]


class Assembler:
    """Makes the deliveries of one queue.

    `understood`: the engine messages that this process can deal with. `release` is called with entries whose
    leases need not be kept any more, `hand_back_part` with those of a delivery that have not begun. `stream`
    is the key of what the entries come from, `consumer` the name in which they are held. `line`: they come
    from a line beside the queue. `pass_on` is called with entries whose handlers the process does not know.
    """

    def __init__(
        self,
        queue: str,
        policies: Policies,
        *,
        understood: Understood,
        max_deliveries: int,
        release: Callable[[str, Iterable[Entry]], None],
        hand_back_part: Callable[[Delivery, Sequence[int]], None],
        stream: str,
        threads: Callable[[], int] = lambda: 1,
        consumer: str = "",
        line: str = "",
        pass_on: Callable[[Delivery, Sequence[int]], None] | None = None,
    ) -> None:
        self._queue = queue
        self._line = line or queue
        self._pass_on = pass_on
        self._threads = threads
        self._consumer = consumer
        self._policies = policies
        self._understood = understood
        self._max_deliveries = max_deliveries
        self._release = release
        self._hand_back_part = hand_back_part
        self._stream = stream
        self._names = {name.encode(): name for name in policies}

    def assemble(self, raw: Collection[tuple[RawEntry, int]]) -> Assembled:
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
            elif entry.payload is None:
                self._add_ordinary(entry, done)
            elif len(raw) == 1:  # there is nothing to join it with
                done.deliveries.append(self._engine_delivery([entry]))
            elif self._is_shared(entry):
                shared.setdefault(entry.actor, []).append(entry)
            else:
                self._add(entry, open_batches, batches)
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
        """Shared out between two threads: more would spend their time waiting for the interpreter lock."""
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

    def _add(self, entry: Entry, open_batches: dict[str, _Batch], batches: list[_Batch]) -> None:
        policy = self._policies.get(entry.actor)
        size = len(entry.payload or b"")
        unjoined = policy is None or policy.join == 1 or policy.may_join is not None or entry.deliveries > 1
        batch = None if unjoined else open_batches.get(entry.actor)
        if (
            batch is None
            or policy is None
            or len(batch.entries) >= policy.join
            or batch.size + size > JOINED_BYTES
        ):
            batch = _Batch()
            batches.append(batch)
            if not unjoined:
                open_batches[entry.actor] = batch
        batch.entries.append(entry)
        batch.size += size

    def _add_ordinary(self, entry: Entry, done: Assembled) -> None:
        if len(entry.fields) != 2 or entry.fields[0] != MESSAGE:
            done.undecodable.append(entry)
            return
        try:
            message = decode_message(entry.fields[1])
        except DecodeError:
            done.undecodable.append(entry)
            return
        if message.queue_name != self._queue:
            # Dramatiq finds the consumer of a message by the queue's name in it.
            message = message.copy(queue_name=self._queue)
        done.deliveries.append(self._delivery(message, [entry], engine=False))

    def _engine_delivery(self, batch: list[Entry]) -> Delivery:
        first = batch[0]
        # What its constructor does, which sets each field of a frozen object in six times the time.
        message: dramatiq.Message[Any] = dramatiq.Message.__new__(dramatiq.Message)
        vars(message).update(
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
            hand_back_part=self._hand_back_part,
            stream=self._stream,
            consumer=self._consumer,
            line=self._line,
            pass_on=self._pass_on,
        )
