"""How many bytes of large bodies a process holds at once, of all its callers together.

What is small needs no room: there are no more of those than connections, and each caller who holds much
would otherwise keep out those who need little.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

from flowengine.api.edge.problem_documents import RefusalError

SMALL: Final = 64 * 1024
"""Bytes; a body of so many or fewer is always taken."""


class Room:
    """The bytes of all large bodies that are held at once. `full` is what a caller is told without room."""

    def __init__(self, limit: int, full: str) -> None:
        self._left = limit
        self._full = full

    @contextlib.contextmanager
    def share(self) -> Iterator[Share]:
        """One caller's part of the room, given back at the end."""
        share = Share(self)
        try:
            yield share
        finally:
            self._left += share.taken

    def take(self, count: int) -> None:
        """Raises RefusalError when so many bytes do not fit beside the others'."""
        if count > self._left:
            raise RefusalError("too_busy", self._full)
        self._left -= count


class Share:
    """What one caller has taken of the room."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._size = 0
        self.taken = 0

    def take(self, count: int) -> None:
        """Hold so many bytes more. Raises as `Room.take`, once they are more than SMALL together."""
        self._size += count
        if self._size > SMALL:
            self._room.take(self._size - self.taken)
            self.taken = self._size
