"""The parameters of a query: read by their kind. A value that cannot be is refused, and never ignored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from litestar import Request

from flowengine.api.edge.problem_documents import RefusalError
from flowengine.nearest_name import nearest_name
from flowengine.workflow.problems import did_you_mean, quoted

_FLAGS: Final = {"true": True, "false": False}


def refuse_value(name: str, value: str, wanted: str) -> RefusalError:
    """The refusal of a value. `wanted` says what the parameter is."""
    return RefusalError("invalid_parameter", f"The query parameter {name!r} {wanted}, not {quoted(value)}.")


def query_text(request: Request[Any, Any, Any], name: str) -> str | None:
    """The text of a parameter that may stand there once; None where it does not. Raises RefusalError."""
    found = query_texts(request, name)
    if len(found) > 1:
        raise RefusalError("invalid_parameter", f"The query parameter {name!r} is given {len(found)} times.")
    return found[0] if found else None


def query_texts(request: Request[Any, Any, Any], name: str) -> Sequence[str]:
    """The texts of a parameter that may be repeated."""
    return [str(value) for value in request.query_params.getall(name, [])]


def query_flag(request: Request[Any, Any, Any], name: str, *, default: bool = False) -> bool:
    """Whether a parameter is true; where it is not given, `default`. Raises RefusalError."""
    given = query_text(request, name)
    if given is None:
        return default
    if given not in _FLAGS:
        raise refuse_value(name, given, "is true or false")
    return _FLAGS[given]


def query_number(request: Request[Any, Any, Any], name: str, *, most: int) -> int | None:
    """A whole number from 1 to `most`; None where it is not given. Raises RefusalError."""
    given = query_text(request, name)
    if given is None:
        return None
    if not (given.isascii() and given.isdecimal() and len(given) < 10 and 1 <= int(given) <= most):
        wanted = f"must be a whole number from 1 to {most}; it is {quoted(given)}"
        raise RefusalError("invalid_parameter", f"The query parameter {name!r} {wanted}.")
    return int(given)


def query_moment(request: Request[Any, Any, Any], name: str) -> int | None:
    """A time, in milliseconds since the epoch; None where it is not given. Raises RefusalError."""
    given = query_text(request, name)
    if given is None:
        return None
    try:
        time = datetime.fromisoformat(given)
        if time.tzinfo is None:
            raise ValueError("it has no zone")
        return int(time.timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        wanted = "is a time with its zone, as 2026-03-01T08:00:00Z (a + is written %2B)"
        raise refuse_value(name, given, wanted) from error


def refuse_unknown(request: Request[Any, Any, Any], known: Sequence[str]) -> None:
    """Raises RefusalError for the first parameter that is not known, with the name that was meant."""
    unknown = next((name for name in request.query_params if name not in known), None)
    if unknown is not None:
        hint = did_you_mean(nearest_name(unknown, known)) or "."
        names = ", ".join(known) or "none"
        detail = f"There is no query parameter {quoted(unknown)} here{hint} Known are: {names}."
        raise RefusalError("unknown_parameter", detail)
