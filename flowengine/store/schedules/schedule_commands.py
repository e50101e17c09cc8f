"""How a schedule becomes Redis commands, and how its stored bytes are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from flowengine.execution.schedules.records import KEPT_OUTCOMES, Outcome, ScheduleRecord
from flowengine.store.connection.packing import Command
from flowengine.store.keys import Keys, schedule_entry, schedule_member

KIND: Final = "schedule"
_FIELD: Final = "o"

_encode: Final = msgspec.json.Encoder().encode
_decoder: Final = msgspec.json.Decoder(ScheduleRecord)
_outcome_decoder: Final = msgspec.json.Decoder(Outcome)


def parse_schedule(value: bytes | None) -> ScheduleRecord | None:
    """How it stands, if it is there."""
    return None if value is None else _decoder.decode(value)


def arming(names: Keys, name: str, record: ScheduleRecord) -> list[Command]:
    """A schedule is applied: it is stored, listed, and its timer armed."""
    entry = schedule_entry(name, record.schedule.id)
    return [("ZADD", names.schedules, 0, entry), *moving(names, name, record, record.next)]


def moving(names: Keys, name: str, record: ScheduleRecord, due: int | None) -> list[Command]:
    """A schedule stands so from now on, and somebody looks at it when `due`, unless it is paused."""
    identity = record.schedule.id
    return [
        ("SET", names.schedule(name, identity), _encode(record)),
        timing(names, name, identity, None if record.is_paused else due),
    ]


def timing(names: Keys, name: str, identity: str, due: int | None) -> Command:
    """Its timer fires then; None: it does not."""
    member = schedule_member(name, identity)
    if due is None:
        return ("ZREM", names.timers(KIND), member)
    return ("ZADD", names.timers(KIND), due, member)


def telling(
    names: Keys, name: str, identity: str, outcomes: Sequence[Outcome], *, is_there: bool = False
) -> list[Command]:
    """Keep what its times have brought about. `is_there`: where some is kept already; of a schedule that is
    there no more, nothing is."""
    key = names.outcomes(name, identity)
    head = ("XADD", key, "NOMKSTREAM") if is_there else ("XADD", key)
    return [(*head, "MAXLEN", "~", KEPT_OUTCOMES, "*", _FIELD, _encode(one)) for one in outcomes]


def disarming(names: Keys, name: str, identities: Sequence[str]) -> list[Command]:
    """Schedules of a definition are there no more."""
    if not identities:
        return []
    kept = [kind(name, each) for each in identities for kind in (names.schedule, names.outcomes)]
    return [
        ("ZREM", names.schedules, *[schedule_entry(name, each) for each in identities]),
        ("ZREM", names.timers(KIND), *[schedule_member(name, each) for each in identities]),
        ("DEL", *kept),
    ]


def parse_outcomes(entries: Sequence[Any]) -> list[tuple[str, Outcome]]:
    """The entries of an XREVRANGE, each with its place. What nobody can read is left out."""
    found = []
    for place, fields in entries:
        try:
            found.append((place.decode(), _outcome_decoder.decode(fields[1])))
        except (msgspec.DecodeError, IndexError):
            continue
    return found
