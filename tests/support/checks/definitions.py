"""What must hold of definitions at any moment. Reads keys as they are, without the store's code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from tests.support.checks.snapshot import Snapshot

DEFINITION: Final = "fe:definition:"
CONTENT: Final = "fe:version:"
NAMES: Final = "fe:definitions"
NUMBER, VALUE = 0, 1


def check_definitions(found: Snapshot) -> None:
    """Assert that each version that is named has its content, and no other has."""
    contents = {key.decode().removeprefix(CONTENT) for key in found.starting_with(CONTENT)}
    named: set[str] = set()
    listed = {member.decode() for member in found.zrange(NAMES, 0, -1)}
    breaches: list[str] = []
    for key in found.starting_with(DEFINITION):
        name = key.decode().removeprefix(DEFINITION)
        fields = {field.decode(): value for field, value in found.hgetall(key).items()}
        numbers = {int(field[2:]) for field in fields if field.startswith("v:")}
        named |= {f"{number}:{name}" for number in numbers}
        breaches += [f"{name}: {breach}" for breach in _breaches(fields, numbers)]
        if (name in listed) != ("current" in fields):
            breaches.append(f"{name}: it is {'' if name in listed else 'not '}in the list")
        if (found.ttl(key) == -1) != ("current" in fields):
            breaches.append(f"{name}: it expires in {found.ttl(key)}")
        listed.discard(name)
    breaches += [f"{name}: it is in the list" for name in listed]
    if contents != named:
        breaches.append(f"contents of {sorted(contents - named)}, none of {sorted(named - contents)}")
    assert not breaches, "\n".join(breaches)


def _breaches(fields: dict[str, bytes], numbers: set[int]) -> Iterator[str]:
    records = {number: msgspec.json.decode(fields[f"v:{number}"]) for number in numbers}
    last = int(fields["last"])
    if any(record[NUMBER] != number for number, record in records.items()):
        yield f"versions have other numbers: {records}"
    if len({record[VALUE] for record in records.values()}) < len(records):
        yield f"one document is two versions: {records}"
    if max(numbers, default=0) > last:
        yield f"{max(numbers)} is a version, and {last} the highest"
    current = fields.get("current")
    if current is None:
        if numbers:
            yield f"none of {sorted(numbers)} is in force"
    else:
        record = msgspec.json.decode(current)
        if record[NUMBER] not in numbers or record[VALUE] != records[record[NUMBER]][VALUE]:
            yield f"{record} is in force, and no version"
