"""Files that are looked at now and then, and nothing about what they hold.

They are polled: that works on every file system, also on those of containers and networks, which tell of no
change. A look at 500 files takes some milliseconds.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, TypeAlias

POLL_S: Final = 0.4
"""The seconds between two looks."""

_State: TypeAlias = tuple[int, int, int]
_Seen: TypeAlias = Mapping[Path, _State]


class WatchedFiles:
    """Tells of changes once the files have stayed as they are from one look to the next.

    An editor that saves several files, or one in pieces, so causes one answer. `find` lists the files.
    """

    def __init__(self, find: Callable[[], Iterable[Path]]) -> None:
        self._find = find
        self._told: _Seen = {}
        self._last: _Seen | None = None

    def take_as_known(self) -> frozenset[Path]:
        """Tell of nothing that is there now. Returns the files."""
        self._told = self._last = self._look()
        return frozenset(self._told)

    def changed(self) -> frozenset[Path] | None:
        """The files that are new, other than they were or gone since the last answer, or None."""
        seen, before = self._look(), self._last
        self._last = seen
        if seen != before or seen == self._told:
            return None
        told, self._told = self._told, seen
        return frozenset(path for path in {*told, *seen} if told.get(path) != seen.get(path))

    def _look(self) -> _Seen:
        found: dict[Path, _State] = {}
        for path in self._find():
            try:
                status = os.stat(path)
            except OSError:  # it has gone since it was found, or nobody may look at it
                continue
            found[path] = (status.st_mtime_ns, status.st_size, status.st_ino)
        return found
