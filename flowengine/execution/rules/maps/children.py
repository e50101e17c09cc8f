"""The items of a map of a group run as child executions, one for each item.

Nothing is stored of a child beside it: its id follows from the map's record and the item's key, and so does
the run of it that the item waits for.
"""

from __future__ import annotations

from typing import Final

import msgspec

from flowengine.execution.changes import ForgetStart, NoteChild, Send
from flowengine.execution.messages import ItemTry, TendChild, TendChildren
from flowengine.execution.records import AwaitedChild, ItemChildren, NodeRecord
from flowengine.execution.rules.children.opening import child_id, tend
from flowengine.execution.rules.dispatching import Run
from flowengine.execution.status import is_open


class ItemStanding(msgspec.Struct, frozen=True):
    """How an item of a map of a group stands. `child`: what it runs as, and the run that it waits for; None:
    the map has no such item. `awaits`: the map is open. `ended`: an end of the item is stored. `over`: the
    time of the map has ended it."""

    child: AwaitedChild | None
    awaits: bool
    ended: bool
    over: bool = False


NO_ITEM: Final = ItemStanding(None, awaits=False, ended=False)


def child_of(execution: str, node: str, children: ItemChildren, key: str) -> AwaitedChild:
    """What the item with this key runs as, and the run that it waits for."""
    return AwaitedChild(child_id(execution, node, children.dispatch, children.at, key), children.run)


def standing(execution: str, node: str, record: NodeRecord, key: str, *, ended: bool) -> ItemStanding:
    """How the item with this key stands."""
    if record.map is None or record.map.children is None:
        return NO_ITEM
    child = child_of(execution, node, record.map.children, key)
    return ItemStanding(child, is_open(record.status), ended, record.map.over)


def tend_item(run: Run, node: str, child: AwaitedChild, index: int) -> TendChild:
    """The message that looks after the child of an item."""
    return msgspec.structs.replace(tend(run.execution, node, child, run.correlation_id), item=index)


def runs_as_children(record: NodeRecord) -> bool:
    """Whether the items of a node run as children now."""
    return is_open(record.status) and record.map is not None and record.map.children is not None


def was_overruled(record: NodeRecord) -> bool:
    """Whether a map has ended whose items ran as children, and may run still: an operator has ended it. One
    that is stopped waits for them."""
    said = record.map
    return said is not None and said.children is not None and not said.ended_by_itself


def tend_items(run: Run) -> Send:
    """What has all children looked after that items of an execution's maps run as."""
    message = TendChildren(execution=run.execution, run=run.run, correlation_id=run.correlation_id)
    return Send(message)


def note_child(node: str, record: NodeRecord, index: int, child: str, now: int) -> NoteChild:
    """Note that an item runs as a child."""
    return NoteChild(node, record.dispatch, index, child, now)


def forget_child(node: str, record: NodeRecord, index: int, dispatch: int | None = None) -> ForgetStart:
    """The item does so no more. `dispatch`: where that was noted in an earlier one."""
    return ForgetStart(node, record.run, record.dispatch if dispatch is None else dispatch, ItemTry(index))
