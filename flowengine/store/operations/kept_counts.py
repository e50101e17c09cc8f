"""How many executions are kept in each status, by the sizes of the sets that hold them."""

from __future__ import annotations

from collections.abc import Sequence

from flowengine.execution.status import ALL_EXECUTION_STATUSES
from flowengine.store.connection.packing import Command
from flowengine.store.keys import Keys
from flowengine.store.lists.listing_entries import LISTS, NARROW_LISTS


def kept_reads(names: Keys) -> list[Command]:
    """What to ask: one command a status."""
    return [
        *(("ZCARD", names.index(status)) for status in LISTS),
        *(("ZCARD", names.listing(status)) for status in NARROW_LISTS),
    ]


def parse_kept(replies: Sequence[int]) -> dict[str, int]:
    """The replies as numbers. The index of `running` has the paused and the cancelling ones too."""
    found = dict(zip((*LISTS, *NARROW_LISTS), map(int, replies), strict=True))
    found["running"] = max(0, found["running"] - sum(found[status] for status in NARROW_LISTS))
    return {status: found[status] for status in ALL_EXECUTION_STATUSES}
