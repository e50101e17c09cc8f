"""The calls about nodes which wait for somebody: signals, decisions, and what waits."""

from __future__ import annotations

import msgspec

from flowengine.client.call import Call, given_query, paging, path_part
from flowengine.client.calls import PAGE
from flowengine.execution.views.executions import (
    CalledBackView,
    DecidedView,
    PersonKind,
    SignalledView,
    WaitingView,
)
from flowengine.jsonvalue import JsonValue


def signal(
    execution_id: str,
    name: str,
    payload: JsonValue = None,
    *,
    item: str | None = None,
    iteration: int | None = None,
) -> Call[SignalledView]:
    """Send an execution a signal, with what it carries. It is kept until a node takes it. `item` and
    `iteration`: which of several is meant."""
    return Call(
        method="POST",
        path=f"/workflows/{path_part(execution_id)}/signals/{path_part(name)}",
        answer=SignalledView,
        query=given_query(item=item, iteration=None if iteration is None else str(iteration)),
        body=msgspec.json.encode(payload),
    )


def decide(
    execution_id: str,
    node: str,
    *,
    approved: bool,
    comment: str | None = None,
    data: JsonValue = None,
    run: int | None = None,
    attempt: int | None = None,
    item: str | None = None,
    iteration: int | None = None,
) -> Call[DecidedView]:
    """Approve or reject what a node asks. With `run` or `attempt`, only in these. `node` may be `group.node`;
    `item`, `iteration`: which is meant of several."""
    said = {
        "comment": comment,
        "data": data,
        "run": run,
        "attempt": attempt,
        "item": item,
        "iteration": iteration,
    }
    given = {name: value for name, value in said.items() if value is not None}
    return Call(
        method="POST",
        path=f"/workflows/{path_part(execution_id)}/nodes/{path_part(node)}/decision",
        answer=DecidedView,
        body=msgspec.json.encode({"approved": approved, **given}),
    )


def call_back(token: str, payload: JsonValue = None) -> Call[CalledBackView]:
    """Answer a node that waits for a callback, as the service would that was given its URL. `token`: the last
    part of the URL."""
    return Call(
        method="POST",
        path=f"/callbacks/{path_part(token)}",
        answer=CalledBackView,
        body=msgspec.json.encode(payload),
    )


def waiting_page(
    *, kind: PersonKind | None = None, limit: int = PAGE, cursor: str | None = None
) -> Call[WaitingView]:
    """A page of the nodes that wait for a person, those first whose time is over first."""
    query = (*given_query(kind=kind), *paging(limit, cursor))
    return Call(method="GET", path="/waiting", answer=WaitingView, query=query)
