"""Handlers by name. Does no I/O: `flowengine.handlers` loads entry points and modules."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Concatenate, Final, TypeVar

import msgspec

from flowengine import __version__
from flowengine.plugin.context import Context
from flowengine.plugin.waiting import Wait
from flowengine.queues import WORKER_QUEUE

HandlerFunction = Callable[Concatenate[Any, Context, ...], object]
FunctionT = TypeVar("FunctionT", bound=HandlerFunction)


class AnyObject(msgspec.Struct, frozen=True):
    """The config of a handler that takes any object: all of it is in `fields`."""

    fields: dict[str, Any]


SIGNAL_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,199}")
"""What a signal may be called. The id of a node is such a name."""

_MARK = "__flowengine_handler__"
_WITHOUT_SETTINGS = 2
_WITH_SETTINGS = 3


class Handler(msgspec.Struct, frozen=True, kw_only=True):
    """A handler and what the engine knows of it.

    `settings_type` is the struct of the settings that the function takes as its third argument, if it
    takes one. `primary` names the field of the output that `X.result` means in a template ("result",
    "data", "content"); None: the output itself, unless it has a `result` of its own. `secrets`: whether the
    config may hold secrets at all; `no_secrets_in` names the fields that may not, because a language model
    reads them. `output_type` is the struct of the output; None: it is not known before the handler has run.
    `max_config_bytes` is what its config may take where that is more than other configs may. `isolated`: it
    runs in a child process; then it needs a thread of the worker, whatever its function is. `version`: no
    cache gives again what it has given under another one. `signals`: those that its nodes may wait
    for, as it returns `Wait`; none: the one that is named as its node. `payload` is the struct of what these
    signals carry. `always_waits`: it returns nothing else. `signals` is None where it returns no `Wait`.
    """

    name: str
    function: HandlerFunction
    config_type: type[msgspec.Struct]
    summary: str
    is_async: bool
    settings_type: type[msgspec.Struct] | None = None
    queue: str = WORKER_QUEUE
    primary: str | None = None
    secrets: bool = True
    output_type: type[msgspec.Struct] | None = None
    no_secrets_in: tuple[str, ...] = ()
    max_config_bytes: int = 0
    isolated: bool = False
    version: str = __version__
    signals: tuple[str, ...] | None = None
    payload: type[msgspec.Struct] | None = None
    always_waits: bool = False


def handler(
    name: str,
    *,
    queue: str = WORKER_QUEUE,
    primary: str | None = None,
    secrets: bool = True,
    output: type[msgspec.Struct] | None = None,
    no_secrets_in: tuple[str, ...] = (),
    max_config_bytes: int = 0,
    isolated: bool = False,
    version: str = __version__,
    signals: Sequence[str] | None = None,
    payload: type[msgspec.Struct] | None = None,
) -> Callable[[FunctionT], FunctionT]:
    """Mark a function as the handler called `name`.

    The function takes (config, context), or (config, context, settings). The annotation of `config` is the
    msgspec struct that the node's config must match, or AnyObject; that of `settings` is the struct of what
    the worker was started with: `HttpSettings`, `LlmSettings`, or one of your own, whose fields are read from
    the environment variables of their names in capitals and checked when a worker starts.

    Sync functions run in a worker thread, `async def` functions on the worker's event loop. Nothing is
    registered at import: a Registry collects marks. `secrets=False` refuses workflows in which the node's
    config reads a secret. `no_secrets_in` refuses secrets in these fields only, unless the operator allows
    secrets in prompts. `output` is the struct of what the function returns: workflows whose templates read
    a field that it does not have are refused. `max_config_bytes` lets the config take more, as JSON, than the
    10 KB of others (`FLOWENGINE_MAX_CONFIG_BYTES`). `isolated=True` calls the function in a
    child process of the worker, which is killed at the node's deadline and may die without harm to others.
    `version`: change it when the function gives something else, so that no cache gives what it gave before;
    by default it is FlowEngine's. `signals`: those for which the function has its node wait, as it returns
    `Wait`; `[]`: the one that is named as the node. What is sent to them is refused if it is no `payload`.
    Raises TypeError when an annotation is missing or is no struct, and when the function is annotated to
    return `Wait` and `signals` does not say for what.
    """

    def mark(function: FunctionT) -> FunctionT:
        config_type, settings_type, returned = _annotated_types(function)
        declared = _declared_signals(name, function, signals, returned, primary)
        described = Handler(
            name=name,
            function=function,
            config_type=config_type,
            summary=(inspect.getdoc(function) or "").split("\n\n")[0].replace("\n", " "),
            is_async=inspect.iscoroutinefunction(function) and not isolated,
            settings_type=settings_type,
            queue=queue,
            primary=primary,
            secrets=secrets,
            output_type=output,
            no_secrets_in=no_secrets_in,
            max_config_bytes=max_config_bytes,
            isolated=isolated,
            version=version,
            signals=declared,
            payload=_payload_of(name, payload),
            always_waits=declared is not None and returned is Wait,
        )
        setattr(function, _MARK, described)
        return function

    return mark


def marked(value: object) -> Handler | None:
    """The handler that `value` was marked as, or None."""
    found = getattr(value, _MARK, None)
    return found if isinstance(found, Handler) else None


def _declared_signals(
    name: str,
    function: HandlerFunction,
    signals: Sequence[str] | None,
    returned: object,
    primary: str | None,
) -> tuple[str, ...] | None:
    """The signals that the handler says its nodes wait for."""
    called = getattr(function, "__qualname__", repr(function))
    if signals is None:
        if returned is Wait or Wait in typing.get_args(returned):
            raise TypeError(
                f"{called} returns Wait: declare for what, @handler('{name}', signals=['paid']); signals=[] "
                "is the signal that is named as the node"
            )
        return None
    if isinstance(signals, str):
        raise TypeError(f"{called}: 'signals' is a list of names: signals=['{signals}']")
    wrong = next((signal for signal in signals if SIGNAL_NAME.fullmatch(signal) is None), None)
    if wrong is not None:
        raise TypeError(
            f"{called}: {wrong!r} is no name of a signal: letters, digits, _, - and ., up to 200, beginning "
            "with a letter or _"
        )
    if primary not in (None, "result"):
        raise TypeError(
            f"{called}: what a signal carries is the `result` of its node's output, so that 'primary' is "
            f"'result' too, not {primary!r}"
        )
    return tuple(dict.fromkeys(signals))


def _payload_of(name: str, payload: type[msgspec.Struct] | None) -> type[msgspec.Struct] | None:
    """The struct of what signals carry. It can be said as a JSON Schema."""
    if payload is None:
        return None
    _struct_of(payload, f"handler '{name}': let 'payload' be", "signals")
    msgspec.json.schema(payload)
    return payload


def _annotated_types(
    function: HandlerFunction,
) -> tuple[type[msgspec.Struct], type[msgspec.Struct] | None, object]:
    """The structs of the function's config and, if it takes them, its settings; and what it returns."""
    called = getattr(function, "__qualname__", repr(function))
    names = list(inspect.signature(function).parameters)
    if len(names) not in (_WITHOUT_SETTINGS, _WITH_SETTINGS):
        raise TypeError(
            f"{called} must take (config, context) or (config, context, settings), it takes {names}"
        )
    hints = typing.get_type_hints(function)
    config_type = _struct_of(hints.get(names[0]), f"{called}: annotate '{names[0]}'", "config")
    if len(names) == _WITHOUT_SETTINGS:
        return config_type, None, hints.get("return")
    settings = _struct_of(hints.get(names[2]), f"{called}: annotate '{names[2]}'", "settings")
    return config_type, settings, hints.get("return")


def _struct_of(annotation: object, advice: str, what: str) -> type[msgspec.Struct]:
    if not (isinstance(annotation, type) and issubclass(annotation, msgspec.Struct)):
        raise TypeError(f"{advice} with the msgspec.Struct of its {what}")
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
        """Register every marked function of a module or other object; returns how many it found."""
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
