"""A place among the events and lines of an execution, as a query names it."""

from __future__ import annotations

from typing import Any

from litestar import Request

from flowengine.api.edge.query_parameters import query_text, refuse_value
from flowengine.execution.history.places import Place, parse_place


def place_of(request: Request[Any, Any, Any], name: str) -> Place | None:
    """A place in the query, None where there is none. Raises RefusalError."""
    text = query_text(request, name)
    if text is None:
        return None
    place = parse_place(text)
    if place is None:
        wanted = "must be the id of an item (such as 1767323046680-0.1), as an answer gave it"
        raise refuse_value(name, text, wanted)
    return place
