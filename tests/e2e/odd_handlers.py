"""Handlers that do what handlers should not: hang, die, return what JSON cannot hold, leak secrets.

Loaded by the processes under test through FLOWENGINE_HANDLERS.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, ClassVar

import msgspec

from flowengine.plugin import AttemptError, Context, HandlerError, Later, handler


class Nothing(msgspec.Struct, frozen=True):
    """No config."""


class Size(msgspec.Struct, frozen=True):
    """How many bytes."""

    size: int


class Seconds(msgspec.Struct, frozen=True):
    """How long."""

    seconds: float


class Since(msgspec.Struct, frozen=True):
    """How long after a time."""

    seconds: float
    since: str


class Secret(msgspec.Struct, frozen=True):
    """A secret."""

    secret: str


class Given(msgspec.Struct, frozen=True):
    """Anything."""

    given: Any


class Folder(msgspec.Struct, frozen=True):
    """Where to note that the handler began; how often it kills its process."""

    folder: str
    deaths: int = 1_000_000


@handler("test_big")
def big(config: Size, context: Context) -> dict[str, str]:
    """Returns a text of `size` bytes."""
    return {"result": "x" * config.size}


@handler("test_say")
def say(config: Nothing, context: Context) -> dict[str, str]:
    """Says in the log which node it is."""
    context.logger.info("say.said", own_node=context.node_id)
    return {"result": context.node_id}


@handler("test_say_async")
async def say_async(config: Nothing, context: Context) -> dict[str, str]:
    """The same on the event loop."""
    await asyncio.sleep(0)
    context.logger.info("say.said", own_node=context.node_id)
    return {"result": context.node_id}


@handler("test_speak")
def speak(config: Nothing, context: Context) -> dict[str, bool]:
    """Says something in every way that there is."""
    context.logger.info("speak.logged", number=2)
    logging.getLogger("a.library").warning("from a library")
    print("printed by", context.node_id)  # noqa: T201 - as handlers do
    print("complained", file=sys.stderr)  # noqa: T201 - as handlers do
    return {"result": True}


@handler("test_speak_async")
async def speak_async(config: Nothing, context: Context) -> dict[str, bool]:
    """The same on the event loop, and from a thread of its own."""
    context.logger.info("speak.logged", number=2)
    await asyncio.sleep(0)
    logging.getLogger("a.library").warning("from a library")
    await asyncio.to_thread(print, "printed by", context.node_id)
    print("complained", file=sys.stderr)  # noqa: T201 - as handlers do
    return {"result": True}


@handler("test_speak_slowly")
async def speak_slowly(config: Seconds, context: Context) -> dict[str, bool]:
    """Says ten things in so many seconds."""
    for number in range(10):
        context.progress(number + 1, 10)
        context.emit("word ")
        context.logger.info("speak.logged", number=number)
        await asyncio.sleep(config.seconds / 10)
    return {"result": True}


@handler("test_deep")
def deep(config: Size, context: Context) -> dict[str, object]:
    """Returns lists in lists, `size` deep."""
    value: list[object] = []
    for _ in range(config.size):
        value = [value]
    return {"result": value}


@handler("test_endless")
def endless(config: Nothing, context: Context) -> dict[str, object]:
    """Returns something that contains itself."""
    value: dict[str, object] = {}
    value["result"] = value
    return value


@handler("test_half_a_character")
def half_a_character(config: Nothing, context: Context) -> dict[str, str]:
    """Returns a lone surrogate, which UTF-8 has no form for."""
    return {"result": "\ud800"}


@handler("test_unencodable")
def unencodable(config: Nothing, context: Context) -> object:
    """Returns an object that JSON has no form for."""
    return {"result": object()}


@handler("test_not_finite")
def not_finite(config: Nothing, context: Context) -> object:
    """Returns NaN."""
    return {"result": float("nan")}


@handler("test_raise")
def raise_plain(config: Nothing, context: Context) -> object:
    """Fails as user code does: with any exception."""
    raise KeyError("no such customer")


class ExitsInTextError(Exception):
    """Its text ends the process."""

    def __str__(self) -> str:
        raise SystemExit(3)


class Unruly(dict[str, object]):
    """A mapping whose own methods end the process."""

    def __iter__(self) -> Iterator[str]:
        raise SystemExit(3)

    values = keys = items = __iter__  # type: ignore[assignment]  # that is the point


class UnrulyData:
    """What claims to be a dataclass, and is none."""

    __dataclass_fields__: ClassVar[dict[str, Any]] = {"x": 1}


def _odd(value: object) -> Any:
    """What a type checker would refuse."""
    return value


ODD_FAILURES: dict[str, Callable[[], BaseException]] = {
    "half a character": lambda: ValueError("bad \udcff name"),
    "no code": lambda: HandlerError(_odd(None), "m"),
    "a number": lambda: HandlerError("c", _odd(404)),
    "exits": ExitsInTextError,
    "bare": lambda: BaseException("b"),
    "a group": lambda: BaseExceptionGroup("g", [ValueError("bad \udcff"), SystemExit(3)]),
    "odd tries": lambda: HandlerError("c", "m", errors=_odd([404, AttemptError(code="\udcff", message="m")])),
}
ODD_RESULTS: dict[str, Callable[[], object]] = {
    "unruly": lambda: Unruly(result=1),
    "unruly data": UnrulyData,
    "generator": lambda: (each for each in "ab"),
    "half a character as a key": lambda: {"\udcff": 1},
    "huge integer": lambda: 10**5000,
}


@handler("test_odd_failure")
def odd_failure(config: Given, context: Context) -> object:
    """Raises one of ODD_FAILURES; says in the log that it runs."""
    context.logger.warning("odd.began", case=config.given)
    raise ODD_FAILURES[config.given]()


@handler("test_odd_result")
def odd_result(config: Given, context: Context) -> object:
    """Returns one of ODD_RESULTS; says in the log that it runs."""
    context.logger.warning("odd.began", case=config.given)
    return ODD_RESULTS[config.given]()


@handler("test_hang")
def hang(config: Seconds, context: Context) -> dict[str, float]:
    """Does not heed its deadline."""
    until = time.monotonic() + config.seconds
    while time.monotonic() < until:
        time.sleep(0.02)
    return {"result": config.seconds}


@handler("test_ask")
def ask(config: Seconds, context: Context) -> dict[str, bool]:
    """Asks whether it is to stop, and returns then."""
    until = time.monotonic() + config.seconds
    while not context.cancelled() and time.monotonic() < until:
        time.sleep(0.02)
    return {"result": context.cancelled()}


@handler("test_block")
async def block(config: Seconds, context: Context) -> dict[str, float]:
    """Keeps the event loop for itself."""
    time.sleep(config.seconds)
    return {"result": config.seconds}


@handler("test_wait")
async def wait(config: Seconds, context: Context) -> dict[str, float]:
    """Waits, and can be cancelled."""
    await asyncio.sleep(config.seconds)
    return {"result": config.seconds}


@handler("test_later")
def put_off(config: Since, context: Context) -> dict[str, str]:
    """Asks to be called again until a while has passed since a time."""
    _put_off(config)
    return {"result": context.idempotency_key}


@handler("test_async_later")
async def put_off_async(config: Since, context: Context) -> dict[str, str]:
    """The same on the event loop."""
    await asyncio.sleep(0)
    _put_off(config)
    return {"result": context.idempotency_key}


def _put_off(config: Since) -> None:
    if time.time() < datetime.fromisoformat(config.since).timestamp() + config.seconds:
        raise Later(config.seconds)


class Path(msgspec.Struct, frozen=True):
    """What to wait for, and how long to sleep in a thread before that."""

    path: str
    blocks_s: float = 0.0


@handler("test_wait_for")
async def wait_for(config: Path, context: Context) -> dict[str, str]:
    """Waits until there is a file of this name, and can be cancelled; what it sleeps in a thread cannot."""
    if config.blocks_s:
        await asyncio.to_thread(time.sleep, config.blocks_s)
    while not os.path.exists(config.path):
        await asyncio.sleep(0.25)
    return {"result": os.path.basename(config.path)}


@handler("test_die")
def die(config: Folder, context: Context) -> dict[str, int]:
    """Ends its process, `deaths` times; notes every start as a file."""
    starts = len(os.listdir(config.folder)) + 1
    with open(os.path.join(config.folder, str(starts)), "x") as note:
        note.write(context.idempotency_key)
    if starts <= config.deaths:
        os._exit(9)
    return {"result": starts}


@handler("test_leak_error")
def leak_error(config: Secret, context: Context) -> object:
    """Fails with the secret in its message, having logged it."""
    context.logger.warning("secret.leaked", secret=config.secret, note=f"it is {config.secret}!")
    raise HandlerError("leaked", f"login with {config.secret} was refused")


@handler("test_leak_print")
def leak_print(config: Secret, context: Context) -> object:
    """Prints the secret: alone, in two pieces, and in a traceback."""
    half = len(config.secret) // 2
    print("print.said", config.secret)  # noqa: T201 - that is the point
    sys.stderr.write(config.secret[:half])
    sys.stderr.flush()
    sys.stderr.write(config.secret[half:] + " print.written\n")
    try:
        raise ValueError(config.secret)
    except ValueError:
        traceback.print_exc()
    return {"result": "printed"}


@handler("test_leak_crash")
def leak_crash(config: Secret, context: Context) -> object:
    """Fails with an exception that shows the secret."""
    raise ValueError({"token": config.secret, "reversed": config.secret[::-1]})


@handler("test_leak_long_error")
def leak_long_error(config: Secret, context: Context) -> object:
    """Fails with the secret in its code, and where an error is cut."""
    try:
        raise ValueError("x" * 1970 + config.secret)
    except ValueError as error:
        tried = AttemptError(code=config.secret, message="x" * 485 + config.secret)
        raise HandlerError(f"leaked_{config.secret}", f"{error}", errors=(tried,)) from error


@handler("test_leak_result")
def leak_result(config: Secret, context: Context) -> object:
    """Returns the secret, alone, inside a text and as a key."""
    return {"result": config.secret, "text": f"Bearer {config.secret}", config.secret: [config.secret]}


@handler("test_return")
def return_given(config: Given, context: Context) -> object:
    """Returns what it was given, in a list."""
    return {"result": [config.given]}


@handler("test_repeat")
def repeat(config: Given, context: Context) -> object:
    """Prints, logs and returns what it was given: markup and escapes, say."""
    print(config.given)  # noqa: T201 - as handlers do
    context.logger.error("repeat.said", given=config.given)
    return {"result": config.given}


@handler("test_pure", secrets=False)
def pure(config: Given, context: Context) -> object:
    """Declares that it takes no secrets."""
    return {"result": None}
