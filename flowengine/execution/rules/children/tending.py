"""What is missing between a node and the child execution that it stands for.

One look at both decides it, no matter who asks for the look and however often.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from flowengine.execution.records import AwaitedChild, Control, NodeRecord, Stop
from flowengine.execution.rules.children.opening import is_child
from flowengine.execution.rules.maps.children import ItemStanding
from flowengine.execution.status import is_final, is_open, is_over

Deed: TypeAlias = Literal["nothing", "make", "begin_again", "stop", "pause", "resume", "report", "keep"]
"""`make`: the child, and begin it. `begin_again`: its next run. `stop`, `pause`, `resume`: the child.
`report`: end the node as the child has ended; of one that was never made, as cancelled. `keep`: nobody waits
for a child that has ended; its keys are to be kept as long as its root."""


def missing(node: NodeRecord, parent: Control | None, child: Control | None, spoken: AwaitedChild) -> Deed:
    """What is to be done. `spoken`: the child, and the run of it, that the message speaks of."""
    if parent is None:
        return "nothing"
    if not is_child(spoken.execution):
        return _of_apart(node, parent, spoken)
    awaited = node.child
    if awaited is None or awaited.execution != spoken.execution or not is_open(node.status):
        if awaited == spoken and is_final(node.status):
            return _of_ended_node(child, spoken)
        return _of_unawaited(child)
    return _of_awaited(awaited.run, parent, child)


def _of_awaited(run: int, parent: Control, child: Control | None, *, over: bool = False) -> Deed:
    """The end of this run of the child is waited for. `over`: it has no more time, and ends as if its parent
    were stopped."""
    stops = over or parent.stop is not None
    if child is None:
        if stops:
            return "report"
        return "make" if parent.lets_dispatch else "nothing"
    if child.run < run:
        return _of_earlier_run(parent, child, stops=stops)
    if is_over(child.status):
        return "report"
    if stops:
        return "nothing" if child.stop is not None else "stop"
    if parent.status == "paused" and child.status == "running" and child.stop is None:
        return "pause"
    return "resume" if parent.status == "running" and child.status == "paused" else "nothing"


def missing_of_item(
    item: ItemStanding, parent: Control | None, child: Control | None, spoken: AwaitedChild
) -> Deed:
    """The same of an item of a map. `report`: the end of the item, also where one is stored: what follows
    from that may be missing."""
    if parent is None:
        return "nothing"
    if item.child is None or item.child.execution != spoken.execution:
        return _of_unawaited(child)
    if item.ended and (child is None or is_over(child.status)):
        return "report"
    if item.ended or not item.awaits:
        return _of_unawaited(child)
    return _of_awaited(item.child.run, parent, child, over=item.over)


def _of_apart(node: NodeRecord, parent: Control, spoken: AwaitedChild) -> Deed:
    """The node begins an execution that is nobody's child: once that has begun, its fate is its own."""
    awaited = node.child
    if awaited is None or awaited.execution != spoken.execution or not is_open(node.status):
        return "nothing"
    if awaited.run == 0 or parent.stop is not None:
        return "report"
    return "make" if parent.lets_dispatch else "nothing"


def _of_earlier_run(parent: Control, child: Control, *, stops: bool) -> Deed:
    """The run that the node waits for has not begun, and does not if it `stops`."""
    if not is_over(child.status):
        return "nothing" if child.stop is not None else "stop"
    if stops:
        return "report"
    return "begin_again" if parent.lets_dispatch else "nothing"


def _of_ended_node(child: Control | None, spoken: AwaitedChild) -> Deed:
    """The node has ended: as its child has, which may be looked at again, or otherwise."""
    if child is not None and child.run == spoken.run and is_over(child.status):
        return "report"
    return _of_unawaited(child)


def _of_unawaited(child: Control | None) -> Deed:
    """Nobody waits for the child."""
    if child is None:
        return "nothing"
    if is_over(child.status):
        return "keep"
    return "nothing" if child.stop is not None else "stop"


def stop_of(parent: Control | None, now: int, *, over: bool = False) -> Stop:
    """The mark of a child that is stopped with its parent, or because nobody waits for it, or because the
    time of the map is `over` that it is an item of."""
    above = None if parent is None else parent.stop
    reason = None if above is None else above.reason
    said = "nobody waits for it any more" if above is None else "the execution that it belongs to is stopped"
    if over and above is None:
        said = "the time of its map is over (max_seconds)"
    return Stop("cancel", "cancelled", now, reason=reason or said)
