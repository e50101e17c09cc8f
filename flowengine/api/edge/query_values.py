"""What a query says: how many items a page may have, and where it begins. Refuses what it cannot be."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request

from flowengine.api.edge.problem_documents import RefusalError
from flowengine.api.openapi.operation import Parameter
from flowengine.execution.history.places import Place, parse_place

MOST_ITEMS: Final = 500
ITEMS: Final = 50
_MAX_SHOWN_CHARS: Final = 100

LIMIT_PARAMETER: Final = Parameter(
    component="Limit",
    name="limit",
    location="query",
    description=f"How many items at most: {ITEMS} unless it is given.",
    schema={"type": "integer", "minimum": 1, "maximum": MOST_ITEMS},
)
CURSOR_PARAMETER: Final = Parameter(
    component="Cursor",
    name="cursor",
    location="query",
    description="The `next_cursor` of the page before.",
    schema={"type": "string", "maxLength": 100},
)


def limit_of(request: Request[Any, Any, Any]) -> int:
    """How many items a page may have. Raises RefusalError."""
    limit = number_of(request, "limit", least=1, most=MOST_ITEMS)
    return ITEMS if limit is None else limit


def number_of(request: Request[Any, Any, Any], name: str, *, least: int, most: int) -> int | None:
    """A whole number in the query, None where there is none. Raises RefusalError."""
    text = request.query_params.get(name)
    if text is None:
        return None
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
    if not least <= number <= most:
        raise _refusal(name, text, f"a whole number from {least} to {most}")
    return number


def flag_of(request: Request[Any, Any, Any], name: str) -> bool:
    """Whether the query says `true`. Raises RefusalError for what is neither `true` nor `false`."""
    text = request.query_params.get(name, "false")
    if text not in ("true", "false"):
        raise _refusal(name, text, "true or false")
    return text == "true"


def place_of(request: Request[Any, Any, Any], name: str) -> Place | None:
    """A place in the query, None where there is none. Raises RefusalError."""
    text = request.query_params.get(name)
    if text is None:
        return None
    place = parse_place(text)
    if place is None:
        raise _refusal(name, text, "the id of an item (such as 1767323046680-0.1), as an answer gave it")
    return place


def _refusal(name: str, text: str, wanted: str) -> RefusalError:
    return RefusalError(
        "invalid_parameter",
        f"The query parameter '{name}' must be {wanted}; it is {text[:_MAX_SHOWN_CHARS]!r}.",
    )
