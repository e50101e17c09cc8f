"""What must hold of chains at any moment. Reads keys as they are, without the store's code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tests.support.checks.snapshot import Snapshot

DEFINITION: Final = "fe:definition:"
LINKS: Final = "fe:links"
TIMERS: Final = "fe:timers:followers"


def check_chains(found: Snapshot) -> None:
    """Assert that each link is one that a definition names, and that each end has started what it says, and
    nothing twice."""
    named = {link for key in found.starting_with(DEFINITION) for link in _links(found, key)}
    stored = {member.decode() for member in found.zrange(LINKS, 0, -1)}
    assert named == stored, f"links that no definition names, or the other way: {sorted(named ^ stored)}"
    controls = {
        key.decode().split(":")[2]: found.hgetall(key)
        for key in found.starting_with("fe:x:")
        if key.endswith(b":control")
    }
    starts: Counter[tuple[str, str, str]] = Counter()
    for execution, fields in controls.items():
        if b"followed" not in fields or b"origin" in fields:
            continue  # a rerun as a new execution tells of the end that its origin follows
        end: dict[str, str] = msgspec.json.decode(fields[b"followed"])
        name = fields[b"name"].decode()
        starts[end["execution"], name, end["status"]] += 1
        above = controls.get(end["execution"])
        if above is not None:
            noted = [one.get("execution") for one in _followers(above)]
            assert execution in noted, f"{execution} follows {end['execution']}, which knows {noted}"
            assert int(fields[b"links"]) >= int(above.get(b"links", 0)) + 1, f"{execution} has too few links"
    assert not [each for each, count in starts.items() if count > 1], f"started twice: {starts}"
    for execution, fields in controls.items():
        began = [
            (one["name"], status)
            for one in _followers(fields)
            if "execution" in one
            for status in one["statuses"]
        ]
        assert len(set(began)) == len(began), f"{execution} has started one twice: {began}"


def _links(found: Snapshot, key: bytes) -> set[str]:
    name = key.decode().removeprefix(DEFINITION)
    links: dict[str, Any] = msgspec.json.decode(found.hgetall(key).get(b"links", b"{}"))
    ends = {f"{one['workflow']}\tend\t{name}" for one in links.get("after", ())}
    return ends | {f"{name}\tnode\t{one}" for one in links.get("runs", ())}


def _followers(fields: Mapping[bytes, bytes]) -> list[dict[str, Any]]:
    kept: list[dict[str, Any]] = msgspec.json.decode(fields.get(b"followers", b"[]"))
    return kept
