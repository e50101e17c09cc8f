"""Looks up the addresses of names for an event loop: in threads, as getaddrinfo takes no timeout.

Those who ask for a name while it is being looked up get the same answer: a thousand calls of one service at
once are one look. Nothing is kept longer than that.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import TypeAlias

Resolver: TypeAlias = Callable[[str, int], Sequence[str]]

_Found: TypeAlias = Sequence[str] | Exception


class NameLookups:
    """For one event loop. A look that hangs holds up nobody who asks for another name."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._under_way: dict[tuple[str, int], asyncio.Future[_Found]] = {}

    async def addresses_of(self, host: str, port: int) -> Sequence[str]:
        """The addresses, in the order to try them. Raises OSError, UnicodeError."""
        asked = (host, port)
        answer = self._under_way.get(asked)
        if answer is None:
            answer = asyncio.get_running_loop().create_future()
            threading.Thread(
                target=self._look_up, args=(host, port, answer), name="flowengine-resolve", daemon=True
            ).start()
            # Only now: if there is no thread to be had, those who ask later would wait for nobody.
            self._under_way[asked] = answer
            answer.add_done_callback(lambda _: self._under_way.pop(asked, None))
        found = await asyncio.shield(answer)
        if isinstance(found, Exception):
            raise found
        return found

    def _look_up(self, host: str, port: int, answer: asyncio.Future[_Found]) -> None:
        found: _Found
        try:
            found = self._resolver(host, port)
        except Exception as error:  # noqa: BLE001 - the thread's edge: nobody else would answer those who wait
            found = error

        def tell() -> None:
            if not answer.done():
                answer.set_result(found)

        loop = answer.get_loop()
        if not loop.is_closed():
            loop.call_soon_threadsafe(tell)
