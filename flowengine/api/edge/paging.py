"""What a request for a page of a list asks for: how many items, and from where on."""

from __future__ import annotations

import re
from typing import Any, Final

from litestar import Request

from flowengine.api.edge.query_parameters import query_number, query_text, refuse_value
from flowengine.api.openapi.operation import Parameter

DEFAULT_LIMIT: Final = 50
MOST: Final = 500

_PRINTABLE: Final = re.compile(r"[!-~]{1,500}")

LIMIT: Final = Parameter(
    component="Limit",
    name="limit",
    location="query",
    description=f"How many items at most: {DEFAULT_LIMIT} unless it is given.",
    schema={"type": "integer", "minimum": 1, "maximum": MOST},
)
CURSOR: Final = Parameter(
    component="Cursor",
    name="cursor",
    location="query",
    description="The `next_cursor` of the page before, with the same other parameters.",
    schema={"type": "string", "maxLength": 500},
)


def limit_of(request: Request[Any, Any, Any]) -> int:
    """How many items a page may have. Raises RefusalError."""
    return query_number(request, "limit", most=MOST) or DEFAULT_LIMIT


def cursor_of(request: Request[Any, Any, Any], shape: re.Pattern[str] = _PRINTABLE) -> str | None:
    """Where the page begins, in the shape that this list gives; None: with the first item.

    Raises RefusalError for another one, and for an empty one: a caller who has lost the cursor, or sends the
    word `null` for it, would read the first page for ever.
    """
    given = query_text(request, CURSOR.name)
    if given is not None and not shape.fullmatch(given):
        raise refuse_value(CURSOR.name, given, "is the `next_cursor` of a page of this list")
    return given
