"""A context variable that has a value within a block. It costs less than a generator: each node has some."""

from __future__ import annotations

from contextvars import ContextVar, Token
from typing import Generic, TypeVar

ValueT = TypeVar("ValueT")


class ContextValue(Generic[ValueT]):
    """Within the block, the variable has this value. For one block."""

    __slots__ = ("_token", "_value", "_variable")

    def __init__(self, variable: ContextVar[ValueT], value: ValueT) -> None:
        self._variable = variable
        self._value = value

    def __enter__(self) -> None:
        self._token: Token[ValueT] = self._variable.set(self._value)

    def __exit__(self, *failure: object) -> None:
        self._variable.reset(self._token)
