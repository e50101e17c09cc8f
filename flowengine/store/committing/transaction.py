"""One optimistic transaction: what was read under WATCH, and the changes written in MULTI/EXEC. Decides
nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

from flowengine.engine.ports import Acknowledge, Committed, ItemKey, MapNumbers, NodeKey, Reading
from flowengine.execution.changes import ArmTimer, Change, ForgetStart, Keep
from flowengine.execution.limits.starts import Starts
from flowengine.execution.records import Control, Counts, NodeRecord
from flowengine.execution.signals import KeptSignals, Sent
from flowengine.store import keys
from flowengine.store.codec import (
    COUNTS_FIELDS,
    DECISION_FIELDS,
    decode_record,
    parse_control,
    parse_counts,
    parse_sent,
    parse_signals,
    parse_starts,
)
from flowengine.store.committing.encode_changes import ChangeEncoder
from flowengine.store.connection.packing import Command, keyed
from flowengine.store.connection.sessions import Session, WatchedReads

_read_state: Final = keyed("HGET", ..., keys.STATE)
_read_control: Final = keyed("HMGET", ..., *DECISION_FIELDS)
_read_counts: Final = keyed("HMGET", ..., *COUNTS_FIELDS)


class Found:
    """What a reading's replies say."""

    begun: frozenset[tuple[str, str, int]] = frozenset()
    bare: frozenset[str] = frozenset()
    """Executions that have none of the keys that few have."""
    ended: frozenset[ItemKey] = frozenset()

    def __init__(self, reading: Reading, replies: Sequence[Any]) -> None:
        left = iter(replies)
        self.nodes: dict[NodeKey, NodeRecord] = {
            key: decode_record(state) for key, state in zip(reading.nodes, left, strict=False) if state
        }
        self.controls: dict[str, Control] = {
            execution: control
            for execution, values in zip(reading.controls, left, strict=False)
            if (control := parse_control(values)) is not None
        }
        self.counts: dict[str, Counts] = {}
        self.signals: dict[str, KeptSignals] = {}
        self.starts_of: dict[str, Starts] = {}
        self.maps: dict[NodeKey, MapNumbers] = {}
        self.sent: dict[NodeKey, int] = {}
        self.tries: dict[ItemKey, NodeRecord] = {}
        if reading.counts:
            self.counts = {
                execution: parse_counts(values)
                for execution, values in zip(reading.counts, left, strict=False)
            }
        if reading.ending:
            self.bare = frozenset([at for at, found in zip(reading.ending, left, strict=False) if not found])
        if reading.unwatched:
            self.nodes |= {
                key: decode_record(state)
                for key, state in zip(reading.unwatched, left, strict=False)
                if state
            }
        if reading.reads_more:
            self._take_more(reading, left)

    def _take_more(self, reading: Reading, left: Iterator[Any]) -> None:
        """What few readings ask for."""
        if reading.starts:
            self.begun = frozenset(
                [start for start, found in zip(reading.starts, left, strict=False) if found]
            )
        if reading.signals:
            self.signals = {
                execution: parse_signals(names, values)
                for (execution, names), values in zip(reading.signals, left, strict=False)
            }
        if reading.lines:
            pairs_of = zip(reading.lines, left, strict=False)
            self.starts_of = {line: parse_starts(pairs) for (line, _), pairs in pairs_of}
        for key in reading.maps:
            fields, sent, ended, counted = next(left), next(left), next(left), next(left)
            self.maps[key] = MapNumbers(int(sent or 0), ended, max(0, fields - 1), int(counted or 0))
        if reading.items:
            self.ended = frozenset([item for item, found in zip(reading.items, left, strict=False) if found])
            self.sent = {key: int(sent or 0) for key, sent in zip(_maps_of(reading), left, strict=False)}
        if reading.tries:
            found = zip(reading.tries, left, strict=False)
            self.tries = {item: decode_record(state) for item, state in found if state}


def commands_of(names: keys.Keys, reading: Reading) -> WatchedReads:
    """What is sent for a reading: the names to WATCH, and the reads whose replies `Found` takes."""
    watched = [names.node(execution, node) for execution, node in reading.nodes]
    reads: list[Command] = [_read_state(name) for name in watched]
    for execution in reading.controls:
        control = names.control(execution)
        watched.append(control)
        reads.append(_read_control(control))
    if reading.counts:
        reads += [_read_counts(names.counts(execution)) for execution in reading.counts]
    if reading.ending:
        reads += [("EXISTS", *names.seldom(execution)) for execution in reading.ending]
    if reading.unwatched:
        reads += [_read_state(names.node(execution, node)) for execution, node in reading.unwatched]
    if reading.reads_more:
        _read_more(names, reading, watched, reads)
    return WatchedReads(tuple(watched), tuple(reads), reading)


def _read_more(names: keys.Keys, reading: Reading, watched: list[str], reads: list[Command]) -> None:
    """What few readings ask for."""
    reads += [
        ("HGET", names.started(execution), keys.start_field(node, dispatch))
        for execution, node, dispatch in reading.starts
    ]
    for execution, wanted in reading.signals:
        kept = names.signals(execution)
        watched.append(kept)
        reads.append(("HMGET", kept, *keys.SIGNAL_NUMBERS, *map(keys.signal_queue, wanted)))
    for line, most in reading.lines:
        starts = names.starts(line)
        watched.append(starts)
        reads.append(("ZRANGE", starts, -most, -1, "WITHSCORES"))
    for execution, node in reading.maps:
        name = names.map(execution, node)
        watched.append(name)
        # Once more have failed than may, nothing is sent: so what has been sent is read after that.
        reads += [("HLEN", name), ("HGET", name, keys.SENT), ("HLEN", names.items_ended(execution, node))]
        reads.append(("HGET", names.counts(execution), keys.map_bytes_field(node)))
    if reading.items:
        reads += [("HEXISTS", names.items_ended(*item[:2]), item[2]) for item in reading.items]
        reads += [("HGET", names.map(*key), keys.SENT) for key in _maps_of(reading)]
    tries = [names.item_try(*item) for item in reading.tries]
    watched += tries
    reads += [("HGET", name, keys.STATE) for name in tries]


def _maps_of(reading: Reading) -> list[NodeKey]:
    return list(dict.fromkeys([(execution, node) for execution, node, _ in reading.items]))


_NEED_NO_CONTROL: Final = (ForgetStart, ArmTimer, Keep)


class UnwatchedError(AssertionError):
    """A transaction writes what it has not WATCHed."""


class RedisUnit:
    """Implements `flowengine.engine.ports.Unit`."""

    def __init__(
        self,
        session: Session,
        names: keys.Keys,
        reading: Reading,
        found: Found,
        now: int,
        encoder: Callable[[], ChangeEncoder],
        armed: Callable[[int], None],
    ) -> None:
        self._watched = set(reading.nodes)
        self.nodes = found.nodes
        self.controls = found.controls
        self._watched_controls = frozenset(reading.controls)
        self.counts = found.counts
        self._bare = found.bare
        self.begun = found.begun
        self.signals = found.signals
        self.maps = found.maps
        self.ended = found.ended
        self.sent = found.sent
        self.tries = found.tries
        self._watched_tries = frozenset(reading.tries)
        self.starts_of = found.starts_of
        self.now = now
        self._session = session
        self._epoch = session.epoch
        self._keys = names
        self._encoder = encoder
        self._armed = armed

    def extend(self, nodes: Sequence[NodeKey]) -> None:
        """WATCH and read more nodes. Raises StoreUnavailableError."""
        more = Reading(tuple(nodes), ())
        self._watched.update(nodes)
        commands = commands_of(self._keys, more)
        self.nodes |= Found(more, self._session.watch_more(commands.names, commands.reads, self._epoch)).nodes

    def signal(self, execution: str, number: int) -> Sent | None:
        """What a kept signal carries. Raises StoreUnavailableError."""
        read = ("HGET", self._keys.signals(execution), keys.signal_field(number))
        return parse_sent(self._session.call([read])[0])

    def counters(self, wanted: Sequence[NodeKey]) -> dict[NodeKey, int]:
        """Joins' counters, for those that exist, read without WATCH. Raises StoreUnavailableError."""
        reads = [("HGET", self._keys.deps(execution), node) for execution, node in wanted]
        replies = self._session.call(reads) if reads else []
        return {key: int(reply) for key, reply in zip(wanted, replies, strict=True) if reply is not None}

    def commit(
        self,
        changes: Mapping[str, Sequence[Change]],
        acknowledge: Acknowledge | None = None,
        ahead: Reading | None = None,
    ) -> Committed | None:
        """Write everything in one transaction, the acknowledgement included.

        None: something that was WATCHed has changed meanwhile, and nothing was written.
        Raises StoreUnavailableError.
        """
        encoder = self._encoder()
        commands = encoder.encode(changes, self._bare)
        self._refuse_unwatched(changes, encoder.nodes)
        if acknowledge is not None:
            acknowledge(commands)
        reads = None if ahead is None else commands_of(self._keys, ahead)
        replies = self._session.transact(commands, self._epoch, reads)
        if replies is None:
            return None
        if encoder.armed is not None:
            self._armed(encoder.armed)
        return encoder.committed(replies)

    def _refuse_unwatched(
        self, changes: Mapping[str, Sequence[Change]], written: AbstractSet[NodeKey]
    ) -> None:
        """Refuse to write what was not WATCHed: a defect that tests would seldom meet."""
        for execution, node in written - self._watched:
            raise UnwatchedError(f"'{node}' of '{execution}' is written and was not WATCHed")
        for execution in changes.keys() - self._watched_controls:
            if not all(isinstance(change, _NEED_NO_CONTROL) for change in changes[execution]):
                raise UnwatchedError(f"'{execution}' is changed and its control was not WATCHed")

    def abandon(self) -> None:
        """Write nothing."""
        self._session.unwatch()
