"""Handlers by name. No I/O; loading entry points and modules is the caller's (`flowengine.handlers`)."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import msgspec

from flowengine.plugin.context import Context
from flowengine.queues import WORKER_QUEUE

ConfigT = TypeVar("ConfigT", bound=msgspec.Struct)
HandlerFunction = Callable[[Any, Context], object | Awaitable[object]]

_MARK = "__flowengine_handler__"


class Handler(msgspec.Struct, frozen=True, kw_only=True):
    """A handler and what the engine knows of it.

    `primary` names the field of the output that `X.result` means in a template ("result", "data",
    "content"); None: the output itself, unless it has a `result` of its own.
    """

    name: str
    function: HandlerFunction
    config_type: type[msgspec.Struct]
    summary: str
    is_async: bool
    queue: str = WORKER_QUEUE
    primary: str | None = None
    secrets: bool = True


def handler(
    name: str, *, queue: str = WORKER_QUEUE, primary: str | None = None, secrets: bool = True
) -> Callable[[Callable[[ConfigT, Context], object]], Callable[[ConfigT, Context], object]]:
    """Mark a function as the handler called `name`.

    The function takes (config, context); the annotation of its first parameter is the msgspec
    struct that the node's config must match. Sync functions run in a worker thread, `async def`
    functions on the worker's event loop. Nothing is registered at import: a Registry collects marks.
    `secrets=False` refuses workflows in which the node's config reads a secret.
    Raises TypeError when the annotation is missing or is no struct.
    """

    def mark(function: Callable[[ConfigT, Context], object]) -> Callable[[ConfigT, Context], object]:
        described = Handler(
            name=name,
            function=function,
            config_type=_config_type(function),
            summary=(inspect.getdoc(function) or "").split("\n\n")[0].replace("\n", " "),
            is_async=inspect.iscoroutinefunction(function),
            queue=queue,
            primary=primary,
            secrets=secrets,
        )
        setattr(function, _MARK, described)
        return function

    return mark


def marked(value: object) -> Handler | None:
    """The handler that `value` was marked as, or None."""
    found = getattr(value, _MARK, None)
    return found if isinstance(found, Handler) else None


def _config_type(function: Callable[..., object]) -> type[msgspec.Struct]:
    parameters = list(inspect.signature(function).parameters)
    if len(parameters) != 2:
        raise TypeError(f"{function.__qualname__} must take (config, context), it takes {parameters}")
    annotation = typing.get_type_hints(function).get(parameters[0])
    if not (isinstance(annotation, type) and issubclass(annotation, msgspec.Struct)):
        raise TypeError(
            f"{function.__qualname__}: annotate '{parameters[0]}' with the msgspec.Struct of its config"
        )
    return annotation


class Registry:
    """The handlers of one process."""

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}

    def add(self, item: Handler) -> None:
        """Register one handler. Raises ValueError when the name is taken by another function."""
        known = self._handlers.get(item.name)
        if known is not None and known.function is not item.function:
            raise ValueError(f"two handlers are called '{item.name}': rename one of them")
        self._handlers[item.name] = item

    def collect(self, namespace: object) -> int:
        """Register every marked function of a module (or any object); returns how many it found."""
        found = [item for value in vars(namespace).values() if (item := marked(value)) is not None]
        for item in found:
            self.add(item)
        return len(found)

    def get(self, name: str) -> Handler | None:
        """The handler called `name`, or None."""
        return self._handlers.get(name)

    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        return tuple(sorted(self._handlers))

    def __iter__(self) -> Iterator[Handler]:
        return iter(self._handlers[name] for name in self.names())
