"""How a node is opened: what it stands for is to run as a child execution, which a message makes or goes on
with."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from msgspec.structs import replace

from flowengine.execution.changes import Change, Happened, Send, StoreCall, Write
from flowengine.execution.events import Event
from flowengine.execution.messages import TendChild
from flowengine.execution.prepared import Prepared
from flowengine.execution.records import AwaitedChild, NodeRecord
from flowengine.execution.requests.idempotency import part_of_no_request
from flowengine.execution.status import after, is_open
from flowengine.workflow.children.lineage import Lineage

ID_CHARS: Final = 27
"""The length of an id without the name of its partition."""
_BIT: Final = 1 << 43
"""The first bit of the time in the id of a child: no other has it, until the year 2248."""
_CHILD: Final = re.compile(r"[89a-f][0-9a-f]{26}")


def child_id(parent: str, node: str, dispatch: int, at: int, item: str | None = None) -> str:
    """The id of a child: all who make it make the same. `at`: when its node was opened; `item`: the key of
    a map's item. It lives in its parent's partition."""
    said = "|".join((parent, node, str(dispatch), "" if item is None else f"={item}"))
    return _id(said, at | _BIT, parent)


def id_apart(parent: str, node: str, dispatch: int, at: int) -> str:
    """The id of an execution that a node begins and that is nobody's child: made in the same way."""
    return _id("|".join((parent, node, str(dispatch))), at, parent)


def _id(said: str, at: int, parent: str) -> str:
    digest = hashlib.blake2b(said.encode(), digest_size=8).digest()
    return f"{at:011x}{part_of_no_request(int.from_bytes(digest))}{parent[ID_CHARS:]}"


def is_child(execution: str) -> bool:
    """Whether this is the id of a child execution."""
    return execution[:1] in "89abcdef" and _CHILD.match(execution) is not None


def open_child(
    execution: str,
    node: str,
    queued: NodeRecord,
    correlation_id: str,
    now: int,
    prepared: Prepared | None = None,
) -> tuple[Change, ...]:
    """Open a node that is queued in `queued`, of this execution: with the next run of the child that its
    record keeps, or with a new one. `prepared`: a new one is an execution of a definition."""
    before = queued.child
    stored: tuple[Change, ...] = ()
    if before is not None:
        child = AwaitedChild(before.execution, before.run + 1 if before.run else 0)
    elif prepared is not None:
        child = AwaitedChild(prepared.execution, 1)
        stored = (StoreCall(node, prepared),)
    else:
        child = AwaitedChild(child_id(execution, node, queued.dispatch, now), 1)
    record = replace(
        queued, status=after(queued.status, "open"), started_at=now, finished_at=None, child=child
    )
    event = Event("node_opened", now, node, record.attempt, record.dispatch, child.execution)
    message = tend(execution, node, child, correlation_id)
    return (Write(node, record), *stored, Happened(event), Send(message))


def tend(execution: str, node: str, child: AwaitedChild, correlation_id: str) -> TendChild:
    """The message that looks after a child."""
    return TendChild(
        execution=execution,
        node=node,
        child=child.execution,
        run=child.run,
        correlation_id=correlation_id,
    )


def tend_parent(lineage: Lineage, child: str, run: int, correlation_id: str) -> Send:
    """The message that looks after a child, sent by itself in this run."""
    message = tend(lineage.parent, lineage.node, AwaitedChild(child, run), correlation_id)
    return Send(replace(message, item=lineage.item))


def tend_open(execution: str, node: str, record: NodeRecord, correlation_id: str) -> tuple[Send, ...]:
    """The same, if the node is open and stands for one."""
    if not is_open(record.status) or record.child is None:
        return ()
    return (Send(tend(execution, node, record.child, correlation_id)),)
