"""What a request for a page of a list asks for: how many, and from where on."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from litestar import Request

from flowengine.api.edge.problem_documents import RefusalError
from flowengine.api.edge.query_parameters import query_text, refuse_value
from flowengine.api.openapi.operation import Parameter

DEFAULT_LIMIT: Final = 50
MOST: Final = 500
MAX_CURSOR_CHARS: Final = 500

LIMIT: Final = Parameter(
    component="Limit",
    name="limit",
    location="query",
    description=f"How many at most; {DEFAULT_LIMIT} if it is left out.",
    schema={"type": "integer", "minimum": 1, "maximum": MOST},
)
CURSOR: Final = Parameter(
    component="Cursor",
    name="cursor",
    location="query",
    description="`next_cursor` of the page before.",
    schema={"type": "string", "maxLength": MAX_CURSOR_CHARS},
)
PAGING: Final = (LIMIT, CURSOR)


class PageAsked(msgspec.Struct, frozen=True):
    """Which page of a list a request asks for."""

    limit: int
    cursor: str | None


def page_asked(request: Request[Any, Any, Any]) -> PageAsked:
    """Which page. Raises RefusalError for a wrong value."""
    limit, cursor = query_text(request, "limit"), query_text(request, "cursor")
    if limit is None:
        return PageAsked(DEFAULT_LIMIT, cursor)
    if not (limit.isascii() and limit.isdigit() and len(limit) < 6 and 1 <= int(limit) <= MOST):
        raise refuse_value("limit", limit, f"is a number from 1 to {MOST}")
    return PageAsked(int(limit), cursor)


def refuse_cursor(cursor: str) -> RefusalError:
    """The refusal of what is no cursor of this list."""
    return refuse_value("cursor", cursor, "is the next_cursor of a page before")
