"""Isolated handlers that do what no handler in a worker's own process should: die, and keep all other threads
from running.

Loaded by the processes under test through FLOWENGINE_HANDLERS.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from flowengine.plugin import AttemptError, Context, HandlerError, Later, ModelCall, Wait, handler


class Given(msgspec.Struct, frozen=True):
    """Anything."""

    given: Any = None


class End(msgspec.Struct, frozen=True):
    """How the process ends."""

    how: str


class Hang(msgspec.Struct, frozen=True):
    """How the handler hangs; where it says that it has begun."""

    how: str
    folder: str = ""


def _kill() -> None:
    """As the system does where memory is short."""
    os.kill(os.getpid(), signal.SIGKILL)


ENDS: dict[str, Callable[[], object]] = {
    "segfault": lambda: ctypes.string_at(0),
    "exit": lambda: os._exit(3),
    "killed": _kill,
    "closed": lambda: os.closerange(3, 256),
}


def _keep_all() -> None:
    """A search that takes for ever, and lets no other thread run meanwhile."""
    re.match(r"(a+)+$", "a" * 60 + "b")


def _sleep() -> None:
    time.sleep(1000)


HANGS: dict[str, Callable[[], object]] = {"keeps all": _keep_all, "sleeps": _sleep}


@handler("isolated_end", isolated=True)
def end(config: End, context: Context) -> object:
    """Says something, and ends its process."""
    print("last words")  # noqa: T201 - as handlers do
    ENDS[config.how]()
    return {"result": "still here"}


@handler("isolated_hang", isolated=True)
def hang(config: Hang, context: Context) -> object:
    """Hangs, beside a process that it has started."""
    if config.folder:
        started = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
        note = Path(config.folder, "pids.tmp")
        note.write_text(f"{os.getpid()} {started.pid}")
        note.rename(Path(config.folder, "pids"))
    HANGS[config.how]()
    return None


@handler("isolated_pid", isolated=True)
def pid(config: Given, context: Context) -> object:
    """Tells its process, and what it was given."""
    return {"result": os.getpid(), "given": config.given}


@handler("isolated_later", isolated=True)
def later(config: Given, context: Context) -> object:
    """Asks to be called again."""
    raise Later(90)


@handler("isolated_wait", isolated=True, signals=["paid", "refused"])
def wait(config: Given, context: Context) -> Wait:
    """Has its node wait for signals."""
    return Wait(["paid", "refused"], f"pay {config.given}", 90, "continue")


@handler("isolated_ask", isolated=True)
def ask(config: Given, context: Context) -> object:
    """Asks whether it is to stop, and returns then."""
    print("asks")  # noqa: T201 - as handlers do
    while not context.cancelled():
        time.sleep(0.02)
    context.logger.info("ask.told")
    return {"result": "stopped"}


@handler("isolated_speak", isolated=True)
async def speak(config: Given, context: Context) -> object:
    """Says something in every way that there is, with what it was given."""
    context.logger.info("speak.logged", number=2)
    await asyncio.sleep(0)
    logging.getLogger("a.library").warning("from a library")
    print("printed by", context.node_id)  # noqa: T201 - as handlers do
    print("complained", file=sys.stderr)  # noqa: T201 - as handlers do
    print(config.given)  # noqa: T201 - as handlers do
    context.progress(1, 2, "half")
    context.emit("word ")
    return {
        "result": config.given,
        "context": [context.execution_id, context.run, context.node_id, context.attempt, context.delivery],
        "key": context.idempotency_key,
        "correlation_id": context.correlation_id,
        "remaining": context.remaining_seconds(),
        "of_the_environment": context.environment("ISOLATED_TEST"),
    }


@handler("isolated_fail", isolated=True)
def fail(config: Given, context: Context) -> object:
    """Fails on purpose, with what it was given."""
    raise HandlerError(
        "quota",
        f"no quota for {config.given}",
        errors=(AttemptError(code="a", message=f"tried {config.given}", after_s=0.5),),
        calls=(ModelCall(model="m", usage={"tokens": 3}),),
        status_code=429,
        permanent=True,
        retry_after_s=7,
    )


ODD: dict[str, Callable[[], object]] = {
    "nan": lambda: {"result": float("nan")},
    "object": lambda: {"result": object()},
    "large": lambda: {"result": "x" * 3_000_000},
    "raise": lambda: os.environ["NO_SUCH_CUSTOMER"],
    "exit": lambda: sys.exit(3),
}


@handler("isolated_odd", isolated=True)
def odd(config: Given, context: Context) -> object:
    """Returns what JSON cannot carry, or raises what no handler should."""
    return ODD[config.given]()
