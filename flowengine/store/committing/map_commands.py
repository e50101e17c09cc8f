"""The commands that store the items of maps and their ends. Decides nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from flowengine.engine.ports import Begun
from flowengine.execution.changes import ChooseItems, EndItem, NoteChild, OpenMap, ReopenMap, WriteTry
from flowengine.execution.messages import ItemTry
from flowengine.store import keys
from flowengine.store.codec import encode_record, format_begun
from flowengine.store.connection.packing import Command

AT_ONCE: Final = 500
"""So many items go in one command."""

_encode = msgspec.json.Encoder().encode


def opening_map(names: keys.Keys, execution: str, change: OpenMap) -> Iterator[Command]:
    """Store its items, in place of any that there were."""
    node, items = change.node, names.items(execution, change.node)
    yield ("UNLINK", items, names.items_ended(execution, node), names.items_todo(execution, node))
    yield ("DEL", names.map(execution, node))
    yield ("HSET", names.map(execution, node), keys.SENT, 0)
    yield ("HDEL", names.counts(execution), keys.map_bytes_field(node))
    for first in range(0, len(change.items), AT_ONCE):
        yield ("RPUSH", items, *change.items[first : first + AT_ONCE])


def reopening_map(names: keys.Keys, execution: str, change: ReopenMap) -> Iterator[Command]:
    """List the items that are sent, in place of what has become of them."""
    yield from _listing(names, execution, change.node, change.left)


def choosing_items(names: keys.Keys, execution: str, change: ChooseItems) -> Iterator[Command]:
    """List the items that begin again, in place of what has become of them."""
    yield from _listing(names, execution, change.node, change.left)
    for first in range(0, len(change.resting), AT_ONCE):
        resting = change.resting[first : first + AT_ONCE]
        yield ("RPUSH", names.items_todo(execution, change.node), *map(_listed, resting))
    if change.freed:
        yield ("HINCRBY", names.counts(execution), keys.map_bytes_field(change.node), -change.freed)


def _listing(
    names: keys.Keys, execution: str, node: str, listed: tuple[tuple[int, int], ...]
) -> Iterator[Command]:
    """What has failed and is not listed stays noted so."""
    todo, sent = names.items_todo(execution, node), names.map(execution, node)
    yield ("DEL", todo)
    yield ("HSET", sent, keys.SENT, 0)
    for first in range(0, len(listed), AT_ONCE):
        left = listed[first : first + AT_ONCE]
        yield ("RPUSH", todo, *map(_listed, left))
        yield ("HDEL", names.items_ended(execution, node), *[index for index, _ in left])
        yield ("HDEL", sent, *[keys.failure_field(index) for index, _ in left])


def _listed(item: tuple[int, int]) -> str:
    index, answered = item
    return f"{index}:{answered}"


def noting_child(names: keys.Keys, execution: str, change: NoteChild) -> Command:
    """Note that an item runs as a child, where the starts of tasks are noted."""
    field = keys.start_field(change.node, change.dispatch, ItemTry(change.index))
    return ("HSET", names.started(execution), field, format_begun(Begun(1, change.at, change.child)))


def writing_try(names: keys.Keys, execution: str, change: WriteTry) -> Iterator[Command]:
    """Store how an item stands between its tries."""
    name = names.item_try(execution, change.node, change.index)
    yield ("HSET", name, keys.STATE, encode_record(change.record))
    yield ("PEXPIREAT", name, change.until)


def ending_item(names: keys.Keys, execution: str, change: EndItem) -> Iterator[Command]:
    """Note the end of an item, unless one is noted."""
    ended = names.items_ended(execution, change.node)
    yield ("HSETNX", ended, change.index, _encode(change.record))
    if change.record.status == "failed":
        yield ("HSETNX", names.map(execution, change.node), keys.failure_field(change.index), 1)
    if change.tried:
        yield ("UNLINK", names.item_try(execution, change.node, change.index))
    if change.counted:
        yield ("HINCRBY", names.counts(execution), keys.map_bytes_field(change.node), change.counted)
