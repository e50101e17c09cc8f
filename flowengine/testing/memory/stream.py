"""A stream: entries in the order of their ids."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Any, Final, TypeAlias

EntryId: TypeAlias = tuple[int, int]

LAST: Final = 2**64 - 1


class Stream:
    """Entries, each a list of fields and values in turn."""

    def __init__(self) -> None:
        self._ids: list[EntryId] = []
        self._fields: list[list[bytes]] = []
        self.last: EntryId = (0, 0)
        self.added = 0

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, now: int, fields: list[bytes]) -> bytes:
        """Append an entry; returns its id, which is of this millisecond or behind the last one."""
        ms, number = self.last
        self.last = (now, 0) if now > ms else (ms, number + 1)
        self._ids.append(self.last)
        self._fields.append(fields)
        self.added += 1
        return written(self.last)

    def trim(self, most: int) -> None:
        """Drop the oldest."""
        over = max(0, len(self._ids) - most)
        del self._ids[:over], self._fields[:over]

    def remove(self, entry: EntryId) -> bool:
        """Whether it was there."""
        at = bisect_left(self._ids, entry)
        if at == len(self._ids) or self._ids[at] != entry:
            return False
        del self._ids[at], self._fields[at]
        return True

    def oldest(self) -> tuple[bytes, list[bytes]] | None:
        """The id and the fields of the first entry, if there is one."""
        return (written(self._ids[0]), self._fields[0]) if self._ids else None

    def between(
        self, low: bytes, high: bytes, most: int | None = None, *, backwards: bool = False
    ) -> list[list[Any]]:
        """The entries from one id to another, as Redis writes them: `1-0`, `(1-0`, `-`, `+`; `most` of them.

        `backwards`: the last ones first.
        """
        first = (bisect_right if low[:1] == b"(" else bisect_left)(self._ids, bound(low, 0))
        last = (bisect_left if high[:1] == b"(" else bisect_right)(self._ids, bound(high, LAST))
        if most is not None:
            first, last = (max(first, last - most), last) if backwards else (first, min(last, first + most))
        ids, fields = self._ids[first:last], self._fields[first:last]
        if backwards:
            ids, fields = ids[::-1], fields[::-1]
        return [[written(each), list(own)] for each, own in zip(ids, fields, strict=True)]


def written(entry: EntryId) -> bytes:
    """An id as Redis writes it."""
    return b"%d-%d" % entry


def bound(text: bytes, number: int) -> EntryId:
    """An id as it was written; `number`: the second half of one that has none."""
    if text in (b"-", b"+"):
        return (0, 0) if text == b"-" else (LAST, LAST)
    ms, dash, rest = text.removeprefix(b"(").partition(b"-")
    return int(ms), int(rest) if dash else number
