"""What is stored of an execution that is a fork of another one. Pure data."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from flowengine.execution.history.runs import Why
from flowengine.execution.records import Origin
from flowengine.execution.rules.maps.choosing import ChosenItems


class Fork(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is to be done before a fork begins: it is there until then, and does not change.

    `reset` and `skipped`: main nodes, by their index in the fork's plan; all others are copied. `why` the
    fork was made. `key`: that of its `concurrency`, where it had to be made. `allowed`: the patterns of the
    definitions that the key of who asked for it is for, none: all. `items`: those that run of a map among
    `reset`, by its index; of that map the others are copied.
    """

    origin: Origin
    reset: tuple[int, ...]
    skipped: tuple[int, ...]
    why: Why
    key: str | None = None
    allowed: tuple[str, ...] = ()
    items: Mapping[int, ChosenItems] = {}
