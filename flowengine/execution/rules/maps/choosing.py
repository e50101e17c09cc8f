"""Which items of an ended map run again where a rerun names some of them, and what becomes of the others.

The named ones run. Of the others, what has completed keeps its result, what has failed its error, and what
did not run does not run now. In the mode `failed` what has no result runs as well.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec
from msgspec.structs import replace

from flowengine.execution.records import MapRecord


class EndedItem(msgspec.Struct, frozen=True):
    """How an item has ended. `answered`: as in its record; `counted`: the bytes of its result that count."""

    has_failed: bool
    answered: int = 0
    counted: int = 0


class KnownItems(msgspec.Struct, frozen=True):
    """What is known of the items of an ended map, `total` of them. `indexes`: of those that are asked for by
    these keys, if there are such. `completed`: which have. `ended`: how those have ended that have failed or
    are asked for. `answered`: how many answers each of these had before, of those that have not ended."""

    total: int
    indexes: Mapping[str, int]
    completed: Collection[int] = ()
    ended: Mapping[int, EndedItem] = {}
    answered: Mapping[int, int] = {}


class ChosenItems(msgspec.Struct, frozen=True):
    """The items of a map that run again, each with the number in its idempotency key. Of the others
    `reused` have completed, `stays` have failed, and `out` have not ended. `freed`: bytes that count of the
    results that go. `resting`: those of the others that have not ended and were answered before, each with
    the number that it is to have once it runs."""

    left: tuple[tuple[int, int], ...]
    reused: int = 0
    stays: int = 0
    out: int = 0
    freed: int = 0
    resting: tuple[tuple[int, int], ...] = ()


def choose(known: KnownItems, keys: Collection[str], *, with_unfinished: bool) -> ChosenItems:
    """What runs again of a map where these keys are asked for. `with_unfinished`: all that has not completed
    does as well."""
    named = {known.indexes[key] for key in keys if key in known.indexes}
    failed = {index for index, item in known.ended.items() if item.has_failed}
    unfinished = set(range(known.total)) - set(known.completed)
    chosen = named | unfinished if with_unfinished else named
    left, freed = [], 0
    for index in sorted(chosen):
        item = known.ended.get(index)
        if item is None:
            left.append((index, known.answered.get(index, 0)))
            continue
        # What has completed was answered: its next call must be another one for the service.
        left.append((index, item.answered + (not item.has_failed)))
        freed += item.counted
    stays = len(failed - chosen)
    reused = len(set(known.completed) - chosen)
    out = sorted(unfinished - failed - chosen)
    resting = tuple([(index, known.answered[index]) for index in out if known.answered.get(index)])
    return ChosenItems(tuple(left), reused, stays, len(out), freed, resting)


def record_of_chosen(record: MapRecord, chosen: ChosenItems) -> MapRecord:
    """What the node's record says of a map of which only these items run."""
    kept = record.total - chosen.out - len(chosen.left)
    return replace(
        record,
        kept=kept,
        completed=0,
        failed=0,
        again=True,
        chosen=True,
        stays=chosen.stays,
        out=chosen.out,
        until=0,
        over=False,
    )


def record_of_all(record: MapRecord) -> MapRecord:
    """What the node's record says of a map of which all runs that has not completed: nothing was chosen."""
    return replace(record, completed=0, failed=0, chosen=False, stays=0, out=0)
