"""What is kept of a definition, and which version a document becomes. Pure.

A version is a document's value: what differs has another number, and what is the same has the same one, also
when others came between. The version in force is the one that was applied last.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec.structs import replace

from flowengine.execution.schedules.records import ScheduleRecord
from flowengine.execution.schedules.rules import arm
from flowengine.workflow.chains.declared import NO_LINKS, Links
from flowengine.workflow.schedules.declared import Schedule

MAX_DESCRIPTION_CHARS: Final = 300
"""Of a document's description, lists show so much."""


class VersionRecord(msgspec.Struct, frozen=True, array_like=True):
    """A version, without its content, as it is stored. What is added later stands at the end.

    `value`: the digest of the document's value. `stored`: that of what is stored of it, its text and its
    plan. `nodes`: how many main ones it has. `at`: when it was applied, in milliseconds since the epoch.
    `by`: the id of the key of who did.
    """

    number: int
    value: str
    stored: str
    nodes: int
    at: int
    by: str | None = None
    description: str = ""
    labels: Mapping[str, str] = {}


class KeptDefinition(msgspec.Struct, frozen=True):
    """What is kept under a name. `current`: the version in force, with the time at which it came into force;
    None: there is none. `last`: the highest number that was ever given. `versions`: by number. `schedules`:
    those that are armed, by id. `links`: what ties the version in force to other definitions."""

    current: VersionRecord | None = None
    last: int = 0
    versions: Mapping[int, VersionRecord] = {}
    schedules: Mapping[str, ScheduleRecord] = {}
    links: Links = NO_LINKS

    def version_of(self, value: str) -> VersionRecord | None:
        """The version with this value, if there is one."""
        return next((record for record in self.versions.values() if record.value == value), None)


class Decided(msgspec.Struct, frozen=True):
    """What an apply makes of a definition.

    `current`: the version in force from now on. `is_new`: nobody had it before. `writes_content`: its text
    or its plan is not what is stored. `changes_nothing`: all is as it was.
    """

    current: VersionRecord
    is_new: bool
    writes_content: bool
    changes_nothing: bool


def decide(kept: KeptDefinition, wanted: VersionRecord) -> Decided:
    """What becomes of a document that is applied. `wanted`: its record, with any number."""
    known = kept.version_of(wanted.value)
    if known is None:
        return Decided(replace(wanted, number=kept.last + 1), True, True, False)
    current = replace(wanted, number=known.number)
    rewrites = known.stored != wanted.stored
    in_force = kept.current is not None and kept.current.number == known.number
    return Decided(current, False, rewrites, in_force and not rewrites)


class Armed(msgspec.Struct, frozen=True):
    """The schedules of a version that comes into force, and the ids of those that are there no more."""

    schedules: tuple[ScheduleRecord, ...] = ()
    gone: tuple[str, ...] = ()


def armed(kept: KeptDefinition, schedules: tuple[Schedule, ...], version: int, now: int) -> Armed:
    """What becomes of the schedules of a definition when this version comes into force."""
    found = tuple([arm(one, version, kept.schedules.get(one.id), now) for one in schedules])
    stay = {one.id for one in schedules}
    return Armed(found, tuple([identity for identity in kept.schedules if identity not in stay]))


def beyond(kept: KeptDefinition, current: int, most: int) -> tuple[int, ...]:
    """The versions that may go, the oldest first, when this one comes into force: all but the newest `most`
    of them, itself among these."""
    numbers = sorted({*kept.versions, current})
    return tuple(number for number in numbers[: max(0, len(numbers) - most)] if number != current)
