"""Handler modules that are loaded anew once they have changed.

The processes that have them are started again: nothing of an old module stays. A change that cannot be loaded
is told of, and what runs stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from flowengine.cli.authoring.handler_files import LoadCheck, handler_files
from flowengine.cli.authoring.watched_files import WatchedFiles


class HandlerReload:
    """Watches the files of `modules`; `restart` starts the processes that load them again. A context manager.

    `say` prints a line.
    """

    def __init__(
        self,
        modules: Sequence[str],
        environment: Mapping[str, str],
        restart: Callable[[], None],
        say: Callable[[str], None],
    ) -> None:
        self.watches = bool(modules)
        self._files = WatchedFiles(lambda: handler_files(modules))
        self._restart = restart
        self._say = say
        self._check = LoadCheck(environment)
        self._changed: frozenset[Path] = frozenset()
        self._known: frozenset[Path] = frozenset()
        self._is_wrong = False

    def __enter__(self) -> Self:
        if self.watches:
            self._known = self._files.take_as_known()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._check.close()

    def look(self) -> None:
        """Begin a check if files have changed, and restart if one has ended well."""
        if not self.watches:
            return
        changed = self._files.changed()
        if changed is not None and self._may_matter(changed):
            self._changed |= changed
            self._check.start()
            return
        wrong = self._check.answer() if self._check.is_running else None
        if wrong is None:
            return
        self._is_wrong = bool(wrong)
        if wrong:
            for line in wrong.splitlines():
                self._say(f"handlers not reloaded: {line}")
            return
        self._say(f"handlers reloaded: {', '.join(sorted(path.name for path in self._changed))} changed")
        self._changed = frozenset()
        self._restart()

    def _may_matter(self, changed: frozenset[Path]) -> bool:
        """A new file that no old one names is no handler's, unless an import of it was missing."""
        old, self._known = self._known, self._known | changed
        return self._is_wrong or self._check.is_running or not changed.isdisjoint(old)
