"""The memory of large bodies: how much of it a process holds at once.

A budget is shared by all callers of the process. Small bodies do not count: there are no more of them than
connections, and a caller who holds much would otherwise keep out those who need little.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

from flowengine.api.edge.problem_documents import RefusalError

SMALL_BODY_BYTES: Final = 64 * 1024
"""A body of so many bytes or fewer does not count."""


class MemoryBudget:
    """The bytes that large bodies may take together. `refusal` is what a caller is told who does not fit."""

    def __init__(self, limit: int, refusal: str) -> None:
        self._left = limit
        self._refusal = refusal

    @contextlib.contextmanager
    def share(self) -> Iterator[BudgetShare]:
        """One caller's share, empty at first; what it has taken is given back at the end."""
        share = BudgetShare(self)
        try:
            yield share
        finally:
            self._left += share.taken

    def has_room(self, size: int) -> bool:
        """Whether a body of so many bytes would be taken now."""
        return size <= max(SMALL_BODY_BYTES, self._left)

    def take(self, count: int) -> None:
        """Raises RefusalError when fewer bytes are left."""
        if count > self._left:
            raise RefusalError("too_busy", self._refusal)
        self._left -= count


class BudgetShare:
    """What one caller has taken of a budget."""

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget
        self._size = 0
        self.taken = 0

    def take(self, count: int) -> None:
        """Hold so many bytes more. Raises RefusalError when the body is no longer small and does not fit."""
        self._size += count
        if self._size > SMALL_BODY_BYTES:
            self._budget.take(self._size - self.taken)
            self.taken = self._size
