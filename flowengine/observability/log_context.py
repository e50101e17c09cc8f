"""Fields that stand on every log line for the length of a with block.

A worker binds some for each node, and the API for each request: structlog's own keep each field in a variable
of its own, which costs several times as much. What is bound by those, in a handler, is shown as well.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from contextlib import AbstractContextManager
from contextvars import ContextVar, Token
from types import MappingProxyType
from typing import Any, Final

_bound: Final[ContextVar[Mapping[str, object]]] = ContextVar(
    "flowengine_log_fields", default=MappingProxyType({})
)


def bound_contextvars(**fields: object) -> AbstractContextManager[None]:
    """As structlog's function of this name: what was bound before is bound again afterwards."""
    return _Bound(fields)


def merge_bound(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The event with what is bound here: a processor of structlog's. What the event says itself counts."""
    fields = _bound.get()
    return {**fields, **event} if fields else event


class _Bound(AbstractContextManager[None]):
    __slots__ = ("_fields", "_token")

    def __init__(self, fields: Mapping[str, object]) -> None:
        self._fields = fields

    def __enter__(self) -> None:
        before = _bound.get()
        self._token: Token[Mapping[str, object]] = _bound.set(
            {**before, **self._fields} if before else self._fields
        )

    def __exit__(self, *error: object) -> None:
        _bound.reset(self._token)
