"""Commands that make child executions, and keep them as long as the execution at the top. Pure."""

from __future__ import annotations

from typing import Final, Protocol

import msgspec

from flowengine.execution.changes import MakeChild
from flowengine.store import keys
from flowengine.store.connection.packing import Command
from flowengine.workflow.plan import Plan

_encode: Final = msgspec.json.Encoder().encode
CONTROL_LEAD_S: Final = 60
"""Control expires so long before the rest, as that of every execution."""


class Lifetimes(Protocol):
    """What is asked about expiry."""

    @property
    def retention_s(self) -> int: ...
    def plan(self, execution: str) -> Plan | None: ...


def making(names: keys.Keys, child: str, change: MakeChild) -> list[Command]:
    """Store a child that begins in the same transaction. It has no expiry, no list and no document."""
    fields: tuple[object, ...] = (
        *("status", "pending", "run", 0, "total", change.total, "created_at", change.at),
        *("correlation_id", change.correlation_id, "name", change.name),
        *((keys.LABELS, _encode(change.labels)) if change.labels else ()),
        *((keys.VERSION, change.version) if change.version is not None else ()),
    )
    return [
        ("SET", names.plan(child), change.reference),
        ("HSET", names.control(child), *fields),
        ("ZADD", names.children(change.root), 0, keys.child_member(change.parent, child)),
    ]


def keeping(names: keys.Keys, child: str, lifetimes: Lifetimes, ended_at: int | None) -> list[Command]:
    """Give all keys of a child the expiry of its root, which ended at this time; None: take it off."""
    plan = lifetimes.plan(child)
    nodes = [] if plan is None else [names.node(child, node.id) for node in plan.nodes]
    if plan is not None:
        nodes += [names.collected(child, node) for node in plan.collecting]
        nodes += [name for at in plan.maps for name in names.of_map(child, plan.nodes[at].id)]
        nodes += [names.signals(child)] if plan.signals_kept else []
    others = [*names.own(child), *names.said(child), names.live(child), names.runs(child), *nodes]
    if ended_at is None:
        return [("PERSIST", name) for name in (*names.with_control(child), *others)]
    at = ended_at // 1000 + lifetimes.retention_s
    return [
        *(("EXPIREAT", name, at) for name in names.with_control(child)),
        *(("EXPIREAT", name, at + CONTROL_LEAD_S) for name in others),
    ]
