"""Handlers that do nothing, for benchmarks; FLOWENGINE_HANDLERS names this module."""

from __future__ import annotations

import msgspec

from flowengine.plugin import Context, HandlerError, handler
from tests.benchmarks.drivers import marks


class Nothing(msgspec.Struct):
    """No config."""


class Payload(msgspec.Struct):
    """Text to pass on."""

    text: str


class Make(msgspec.Struct):
    """How much text to make."""

    size: int


class Mark(msgspec.Struct):
    """The mark to leave, and text to receive before."""

    mark: str
    text: str = ""


@handler("noop")
def noop(config: Nothing, context: Context) -> None:
    """Does nothing."""


@handler("make_payload")
def make_payload(config: Make, context: Context) -> str:
    """Returns so much text."""
    return "x" * config.size


@handler("echo_payload")
def echo_payload(config: Payload, context: Context) -> str:
    """Returns the text that it was given."""
    return config.text


@handler("fails_once")
def fails_once(config: Nothing, context: Context) -> None:
    """Fails in its first try."""
    if context.attempt == 1:
        raise HandlerError("boom", "the first try fails")


@handler("mark")
def mark(config: Mark, context: Context) -> None:
    """Tells the benchmark's driver that the last node runs."""
    marks.leave(config.mark)
