"""Definitions in Redis: a hash of what is known of a name's versions, and one of each version's content.

Every write WATCHes the hash of its name, and writes all that it changes in one transaction. So of two applies
at once one is refused and decides anew, and a version that is named is there with its content. Nothing
expires but what is left of a name that was deleted: the highest number, so that no version has one again
that an execution may speak of.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, NamedTuple

import msgspec
from msgspec.structs import replace

from flowengine.engine.definitions.ports import Content, Definition
from flowengine.errors import StoredFormatError
from flowengine.execution.definitions.records import Armed, KeptDefinition, VersionRecord
from flowengine.store import keys
from flowengine.store.access.audit_log import add_note, was_written
from flowengine.store.admission import Admission
from flowengine.store.connection.packing import Command
from flowengine.store.connection.sessions import Commands, Session
from flowengine.store.lists.listing_entries import VERSION, having
from flowengine.store.schedules.schedule_commands import arming, disarming, parse_schedule
from flowengine.store.state import RedisState
from flowengine.workflow.chains.circles import Lead
from flowengine.workflow.chains.declared import NO_LINKS, Links
from flowengine.workflow.plan import UnknownFormatError

DELETED_FOR_S: Final = 366 * 86_400
"""So long the highest number of a name that was deleted is known."""
READS_AT_MOST: Final = 5
"""A version in force that is gone when its content is read has been followed by another one."""

_encode: Final = msgspec.json.Encoder().encode
_decode_links: Final = msgspec.json.Decoder(Links).decode
_decode: Final = msgspec.json.Decoder(VersionRecord).decode


def _fit() -> None:
    """The server has been looked at."""


class _Found(NamedTuple):
    record: VersionRecord
    current: int


class RedisDefinitions:
    """Implements `flowengine.engine.definitions.ports.DefinitionStore`. `ensure_fit`: what has to pass before
    the first use."""

    def __init__(
        self,
        state: RedisState,
        admission: Admission | None = None,
        ensure_fit: Callable[[], None] = _fit,
    ) -> None:
        self._state = state
        self._keys = state.keys
        self._admission = admission or Admission(state)
        self._ensure_fit = ensure_fit

    def definition(self, name: str, version: int | None = None) -> Definition | None:
        """The version in force, or this one; None where there is none.

        Raises StoredFormatError: its plan is of a format that this process does not know.
        """
        self._ensure_fit()
        if version is not None:
            return self._numbered(name, version)
        for _ in range(READS_AT_MOST):
            found = self._find(name)
            if found is None:
                return None
            content = self._keys.version(name, found.record.number)
            ((plan, document),) = self._read(("HMGET", content, keys.PLAN, keys.DOCUMENT))
            if plan is not None and document is not None:
                return self._definition(name, found, plan, document)
        return None

    def begin(self, name: str) -> RedisDefinitionUnit:
        """WATCH and read what is kept under a name, and its schedules."""
        self._ensure_fit()
        key = self._keys.definition(name)
        time, fields = self._state.sessions.retrying_watch([key], [("TIME",), ("HGETALL", key)])
        kept, armed = _kept(fields), _armed_of(fields)
        if armed:
            session = self._state.sessions.here()
            names = [self._keys.schedule(name, identity) for identity in armed]
            found = session.watch_more(names, [("GET", each) for each in names], session.epoch)
            schedules = zip(armed, map(parse_schedule, found), strict=True)
            kept = replace(kept, schedules={each: one for each, one in schedules if one is not None})
        return RedisDefinitionUnit(self._state, name, kept, self._state.clock.seen(time))

    def used(self, name: str, versions: Sequence[int]) -> set[int]:
        """Those of the versions of which executions are kept."""
        spans = [having(self._keys.list_by, "", "", VERSION, name, str(number)) for number in versions]
        counts = self._read(*[("ZLEXCOUNT", span.key, span.low, span.high) for span in spans])
        return {number for number, count in zip(versions, counts, strict=True) if count}

    def letting_in(self, size: int) -> AbstractContextManager[None]:
        """Around the storing of so many bytes. Raises StoreFullError when they may not come in."""
        return self._admission.letting_in_bytes(size)

    def page(self, after: str, limit: int) -> tuple[list[tuple[str, VersionRecord]], str | None]:
        """At most so many of the names that come after this one, each with its version in force, by name; and
        the name after which the next ones come, if there are more."""
        self._ensure_fit()
        low = b"(" + after.encode() if after else b"-"
        (found,) = self._read(("ZRANGE", self._keys.definitions, low, "+", "BYLEX", "LIMIT", 0, limit + 1))
        names = [name.decode() for name in found[:limit]]
        if not names:
            return [], None
        records = self._read(*[("HGET", self._keys.definition(name), keys.CURRENT) for name in names])
        there = [(name, _decode(data)) for name, data in zip(names, records, strict=True) if data is not None]
        return there, names[-1] if len(found) > limit else None

    def kept(self, name: str) -> KeptDefinition:
        """What is kept under a name."""
        return self.kept_of([name])[0]

    def following(self, name: str, most: int) -> list[str]:
        """The definitions that follow this one, so many at most, by name."""
        low, high = keys.link_entries(name, by_end=True)
        (found,) = self._read(("ZRANGE", self._keys.links, low, high, "BYLEX", "LIMIT", 0, most))
        return [keys.parse_link_entry(member)[0] for member in found]

    def kept_of(self, names: Sequence[str]) -> list[KeptDefinition]:
        """What is kept under each of these names."""
        self._ensure_fit()
        if not names:
            return []
        return [_kept(found) for found in self._read(*[("HGETALL", self._keys.definition(n)) for n in names])]

    def _read(self, *commands: Command) -> list[Any]:
        return self._state.sessions.retrying_read(commands)

    def _numbered(self, name: str, version: int) -> Definition | None:
        """This version, in one round trip: its content is found by its number."""
        (current, data), (plan, document) = self._read(
            ("HMGET", self._keys.definition(name), keys.CURRENT, keys.version_field(version)),
            ("HMGET", self._keys.version(name, version), keys.PLAN, keys.DOCUMENT),
        )
        if current is None or data is None or plan is None or document is None:
            return None
        return self._definition(name, _Found(_decode(data), _decode(current).number), plan, document)

    def _find(self, name: str) -> _Found | None:
        (current,) = self._read(("HGET", self._keys.definition(name), keys.CURRENT))
        if current is None:
            return None
        record = _decode(current)
        return _Found(record, record.number)

    def _definition(self, name: str, found: _Found, plan: bytes, document: bytes) -> Definition:
        try:
            decoded = self._state.plans.decoded(plan)
        except UnknownFormatError as error:
            raise StoredFormatError(
                f"version {found.record.number} of definition '{name}': {error}; apply it again"
            ) from error
        return Definition(name, found.record, found.current, decoded, document)


class RedisDefinitionUnit:
    """Implements `flowengine.engine.definitions.ports.DefinitionUnit`."""

    def __init__(self, state: RedisState, name: str, kept: KeptDefinition, now: int) -> None:
        self.kept = kept
        self.now = now
        self._state = state
        self._keys = state.keys
        self._name = name
        self._session: Session = state.sessions.here()
        self._epoch = self._session.epoch

    def put(
        self,
        current: VersionRecord,
        content: Content | None,
        dropped: Collection[int],
        armed: Armed,
        links: Links,
    ) -> bool:
        """Let this version be in force, with this content if it is not stored yet, with these schedules and
        these links to others, and drop others."""
        key, number = self._keys.definition(self._name), current.number
        fields: list[object] = [keys.CURRENT, _encode(current), keys.LAST, max(number, self.kept.last)]
        known = self.kept.versions.get(number)
        if known is None or known.stored != current.stored:
            first = current if known is None else msgspec.structs.replace(known, stored=current.stored)
            fields += [keys.version_field(number), _encode(first)]
        identities = [one.schedule.id for one in armed.schedules]
        fields += [keys.SCHEDULES, _encode(identities), keys.LINKS, _encode(links)]
        commands = Commands([("HSET", key, *fields), ("PERSIST", key)])
        for one in armed.schedules:
            commands += arming(self._keys, self._name, one)
        commands += disarming(self._keys, self._name, armed.gone)
        commands += self._linking(links)
        commands.append(("ZADD", self._keys.definitions, 0, self._name))
        if content is not None:
            name = self._keys.version(self._name, number)
            commands.append(("HSET", name, keys.PLAN, content.plan, keys.DOCUMENT, content.document))
        if dropped:
            commands.append(("HDEL", key, *map(keys.version_field, dropped)))
            commands.append(("DEL", *[self._keys.version(self._name, each) for each in dropped]))
        if not self._commit(commands):
            return False
        for one in armed.schedules:
            if one.next is not None and not one.is_paused:
                self._state.on_armed(one.next)
        return True

    def remove(self) -> bool:
        """Let the name have no version and no schedule any more."""
        key, numbers = self._keys.definition(self._name), list(self.kept.versions)
        commands = Commands([("ZREM", self._keys.definitions, self._name)])
        said = (keys.CURRENT, keys.SCHEDULES, keys.LINKS)
        commands.append(("HDEL", key, *said, *map(keys.version_field, numbers)))
        commands += disarming(self._keys, self._name, tuple(self.kept.schedules))
        commands += self._linking(NO_LINKS)
        commands.append(("EXPIREAT", key, self.now // 1000 + DELETED_FOR_S))
        if numbers:
            commands.append(("DEL", *[self._keys.version(self._name, number) for number in numbers]))
        return self._commit(commands)

    def leads(self, names: Sequence[str]) -> dict[str, list[Lead]]:
        """WATCH and read what each of these definitions leads to."""
        key = self._keys.links
        reads = [("ZRANGE", key, *keys.link_entries(name), "BYLEX") for name in names]
        found = self._session.watch_more([key], reads, self._epoch)
        return {
            name: [Lead(*keys.parse_link_entry(member)) for member in members]
            for name, members in zip(names, found, strict=True)
        }

    def abandon(self) -> None:
        """Write nothing."""
        self._session.unwatch()

    def _linking(self, links: Links) -> list[Command]:
        """What it leads to from now on, and what leads to it."""
        before, after = _entries(self._name, self.kept.links), _entries(self._name, links)
        commands: list[Command] = []
        if gone := [each for each in before if each not in after]:
            commands.append(("ZREM", self._keys.links, *gone))
        if new := [each for each in after if each not in before]:
            commands.append(("ZADD", self._keys.links, *[part for each in new for part in (0, each)]))
        return commands

    def _commit(self, commands: Commands) -> bool:
        note = add_note(commands, self._keys, self._name)
        if self._session.transact(commands, self._epoch) is None:
            return False
        was_written(note)
        return True


def _entries(name: str, links: Links) -> list[str]:
    """The members of `links` that a definition with these has."""
    followed = [keys.link_entry(one.workflow, name, by_end=True) for one in links.after]
    runs = [keys.link_entry(name, one, by_end=False) for one in links.runs]
    return list(dict.fromkeys((*followed, *runs)))


def _named(fields: Any) -> dict[str, bytes]:
    """The fields of an HGETALL."""
    pairs = fields.items() if isinstance(fields, dict) else zip(fields[::2], fields[1::2], strict=True)
    return {name.decode(): data for name, data in pairs}


def _armed_of(fields: Any) -> list[str]:
    """The ids of the schedules of a definition."""
    found = _named(fields).get(keys.SCHEDULES)
    return [] if found is None else msgspec.json.decode(found, type=list[str])


def _kept(fields: Any) -> KeptDefinition:
    """What an HGETALL of a definition says."""
    found = _named(fields)
    current = found.get(keys.CURRENT)
    versions = {
        number: _decode(data)
        for name, data in found.items()
        if (number := keys.parse_version_field(name)) is not None
    }
    links = found.get(keys.LINKS)
    return KeptDefinition(
        None if current is None else _decode(current),
        int(found.get(keys.LAST, 0)),
        versions,
        links=NO_LINKS if links is None else _decode_links(links),
    )
