"""Signals that an execution has been sent and that no node has taken. Pure data.

They are kept in the order in which they came. `KeptSignals` says which there are, by their names; what they
carry is read apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

MOST_KEPT_BYTES: Final = 1024 * 1024
"""What the signals that one execution keeps may carry together."""
SIGNAL_BYTES: Final = 100
"""A signal counts so much besides what it carries."""


class KeptSignal(msgspec.Struct, frozen=True, array_like=True):
    """One signal: its number in the execution, and how much it counts."""

    number: int
    size: int


class KeptSignals(msgspec.Struct, frozen=True):
    """Those that are kept. `last`: the number of the last that came, kept or not. `size`: of all together."""

    last: int = 0
    size: int = 0
    queues: Mapping[str, tuple[KeptSignal, ...]] = {}

    def queue(self, name: str) -> tuple[KeptSignal, ...]:
        """Those of this name, the first one first."""
        return self.queues.get(name, ())


class Sent(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a signal carries, and the id of the key of who has sent it, as it is stored."""

    payload: msgspec.Raw
    by: str | None = None
