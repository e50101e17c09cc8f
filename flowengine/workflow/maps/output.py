"""What is known of a map's output before it has run."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from flowengine.workflow.checking.templates.output_fields import DeclaredOutput


class MapCounts(msgspec.Struct, frozen=True):
    """How many items there were, and what became of them."""

    total: int
    completed: int
    failed: int
    cancelled: int


class MapItem(msgspec.Struct, frozen=True):
    """One item."""

    index: int
    key: str
    status: str
    result: Any
    error: Any


class MapOutput(msgspec.Struct, frozen=True):
    """The output: the items' primary values, the items, and their numbers."""

    result: list[Any]
    items: list[MapItem]
    counts: MapCounts


DECLARED: Final = DeclaredOutput("map", MapOutput, None)
