"""The commands that make a fork: what it copies of its origin, by COPY within their partition. Pure.

A copy takes the place of what was copied before, so each step may be done again. COPY takes the lifetime of
the original over; so each copy is given that of the fork, which has not begun.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from flowengine.execution.changes import Copy, CopyNodes
from flowengine.execution.requests.fork import Fork
from flowengine.store import keys
from flowengine.store.codec import encode_record
from flowengine.store.connection.packing import Command
from flowengine.workflow.plan import Plan

_encode: Final = msgspec.json.Encoder().encode
decode_fork: Final = msgspec.json.Decoder(Fork).decode


def marking(names: keys.Keys, execution: str, fork: Fork, gone: int) -> list[Command]:
    """Say what the execution is a fork of, and what is to be done before it begins."""
    return [
        ("HSET", names.control(execution), keys.ORIGIN, _encode(fork.origin)),
        ("SET", names.fork(execution), _encode(fork), "EXAT", gone),
    ]


def copying(
    names: keys.Keys, execution: str, change: CopyNodes, plan: Plan | None, gone: int
) -> Iterator[Command]:
    """Copy nodes that have ended, all of which expire at `gone`."""
    collecting = () if plan is None else plan.collecting
    for copy in change.copies:
        pairs = _pairs(names, execution, change.origin, copy)
        if copy.node in collecting:
            pairs.append((names.collected(change.origin, copy.node), names.collected(execution, copy.node)))
        for source, target in pairs:
            yield ("COPY", source, target, "REPLACE")
            if target == names.node(execution, copy.node):
                yield ("HSET", target, keys.STATE, encode_record(copy.record))
            yield ("EXPIREAT", target, gone)
        if copy.counted_of_items:
            counts = names.counts(execution)
            yield ("HSET", counts, keys.map_bytes_field(copy.node), copy.counted_of_items)
            yield ("EXPIREAT", counts, gone)


def _pairs(names: keys.Keys, execution: str, origin: str, copy: Copy) -> list[tuple[str, str]]:
    """The keys of a node, there and here. Without items a map has none of their keys."""
    pairs = [(names.node(origin, copy.node), names.node(execution, copy.node))]
    if copy.record.map is not None:
        kinds = (names.map, names.items, names.items_ended)
        pairs += [(kind(origin, copy.node), kind(execution, copy.node)) for kind in kinds]
    return pairs
