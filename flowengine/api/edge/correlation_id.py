"""The correlation id of a request: the caller's own if it can be trusted on a log line, else a new one."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping
from typing import Any, Final

from flowengine.observability.tracing.spans import tracing
from flowengine.observability.tracing.trace_text import read_traceparent, with_trace

HEADER: Final = "X-Correlation-ID"
EXAMPLE: Final = "order-4711"
MAX_CHARS: Final = 128
PATTERN: Final = r"^[!-~]([ -~]*[!-~])?$"
"""Printable ASCII that neither begins nor ends with a space."""

_STATE_KEY: Final = "correlation_id"
_NAME: Final = HEADER.lower().encode()
_TRUSTED: Final = re.compile(rb"[\x21-\x7e](?:[\x20-\x7e]{0,126}[\x21-\x7e])?")


def choose_correlation_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The id that was sent, if it was sent once, as 1 to 128 printable ASCII characters; else a new one."""
    sent = [value for name, value in headers if name == _NAME]
    if len(sent) == 1 and _TRUSTED.fullmatch(sent[0]):
        return sent[0].decode("ascii")
    return secrets.token_hex(16)


def with_correlation_id(state: Mapping[str, Any], correlation_id: str) -> dict[str, Any]:
    """A request's state, with its id."""
    return {**state, _STATE_KEY: correlation_id}


def correlation_of(scope: Mapping[str, Any]) -> str:
    """The id of a request that makes an execution, and behind it the trace that the execution belongs to.

    That is the one of the request's `traceparent`, else one that begins here; there is none while traces are
    off.
    """
    given = correlation_id_of(scope)
    if not tracing.is_on:
        return given
    sent = [value for name, value in scope["headers"] if name == b"traceparent"]
    told = read_traceparent(sent[0].decode("latin-1")) if len(sent) == 1 else None
    return with_trace(given, told or tracing.begin())


def correlation_id_of(scope: Mapping[str, Any]) -> str:
    """The id that was chosen for the request of this ASGI scope."""
    return str(scope["state"][_STATE_KEY])
