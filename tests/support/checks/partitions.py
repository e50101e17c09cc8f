"""Which partition a command belongs to: what one transaction names must lie in one, as Redis Cluster demands.

Looks at commands as they are sent. A key's partition is the text in braces; the keys of the only partition
that is in use have none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import pytest

SPANNING: Final = frozenset({"fe:format", "fe:health", "fe:keys"})
"""Keys that belong to no partition: no transaction may name them."""

_TAG: Final = re.compile(r"fe:\{(\w+)\}:")


def keys_in(command: Sequence[object]) -> list[str]:
    """The keys that a command names: every argument of it that looks like one of ours, payloads apart."""
    found: list[str] = []
    for part in command[1:]:
        if isinstance(part, str):
            if part.startswith("fe:"):
                found.append(part)
        elif isinstance(part, bytes) and part.startswith(b"fe:"):
            found.append(part.decode(errors="replace"))
    return [text for text in found if " " not in text and '"' not in text]


def partition_of_key(key: str) -> str:
    """Its partition; empty for the one without a name."""
    found = _TAG.match(key)
    return found[1] if found else ""


class PartitionCheck:
    """What one connection has WATCHed, and what its transactions name.

    Fails the test with what passes every `except Exception`, so that no code under test can swallow it.
    """

    def __init__(self) -> None:
        self._watched: set[str] = set()

    def take(self, commands: Sequence[Sequence[object]]) -> None:
        """Look at commands that are sent together."""
        inside: set[str] | None = None
        for command in commands:
            name = str(command[0].decode() if isinstance(command[0], bytes) else command[0]).upper()
            if name == "MULTI":
                inside = set(self._watched)
            elif name == "WATCH":
                self._watched.update(keys_in(command))
                _demand_together(self._watched)
            elif name in ("EXEC", "UNWATCH"):
                _demand_together(inside or set())
                inside, self._watched = None, set()
            elif name == "XREADGROUP":
                _demand_together(set(keys_in(command)))
            elif inside is not None:
                inside.update(keys_in(command))


def _demand_together(names: set[str]) -> None:
    spanning = {name for name in names if name in SPANNING or name.startswith("fe:session:")}
    if spanning:
        pytest.fail(f"a transaction names {sorted(spanning)}")
    partitions = {partition_of_key(name) for name in names}
    if len(partitions) > 1:
        pytest.fail(f"one transaction names keys of {sorted(partitions)}: {sorted(names)[:5]}")
