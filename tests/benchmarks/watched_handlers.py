"""Handlers that take their time, or say much, for `watching`; FLOWENGINE_HANDLERS names this module."""

from __future__ import annotations

import asyncio

import msgspec

from flowengine.plugin import Context, handler


class Seconds(msgspec.Struct):
    """How long to take."""

    seconds: float


class Lines(msgspec.Struct):
    """How many lines to say, in so many seconds."""

    count: int
    seconds: float = 0.0


@handler("takes")
async def takes(config: Seconds, context: Context) -> None:
    """Waits, and says how far it is halfway."""
    await asyncio.sleep(config.seconds / 2)
    context.progress(1, 2)
    await asyncio.sleep(config.seconds / 2)


@handler("chats")
def chats(config: Lines, context: Context) -> None:
    """Logs so many lines, as fast as it can."""
    for number in range(config.count):
        context.logger.info("chats.line", number=number)
