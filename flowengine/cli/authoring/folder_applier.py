"""Workflow files that are applied as they are saved.

What is right is applied, whatever is wrong beside it: who writes a file does not want to wait for another.
Nothing is deleted, since a file that is renamed or moved is gone for a moment.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final

from flowengine.cli.authoring.watched_files import WatchedFiles
from flowengine.cli.stack.definitions.applying import summary
from flowengine.cli.stack.definitions.file_set import read_files
from flowengine.cli.workflow_files import find_files, problem_line
from flowengine.client import RefusedError, UnreachableError
from flowengine.errors import FlowEngineError

if TYPE_CHECKING:
    from flowengine.cli.stack.definitions.file_set import Planned
    from flowengine.client import Client
    from flowengine.workflow.problems import Problem

_NO_KEY: Final = (401, 403)
_PASSING: Final = (409, 429)
"""A definition was changed by another at the same moment, or too much is asked: the next try may pass."""


class FolderApplier:
    """Looks at the files of `paths` and applies what has changed. `say` prints a line."""

    def __init__(self, paths: Sequence[Path], client: Client, say: Callable[[str], None]) -> None:
        self._paths = paths
        self._client = client
        self._say = say
        self._files = WatchedFiles(self._find)
        self._unapplied: frozenset[Path] = frozenset()
        self._has_applied = False
        self._was_wrong = False
        self._has_told_of_waiting = False

    def look(self) -> None:
        """Apply, if files have changed since the last look.

        The next look does it where nobody answers, and where an answer says nothing about the files.
        """
        changed = self._files.changed()
        if changed is not None:
            self._unapplied |= changed
        if not self._unapplied:
            return
        try:
            self._apply(self._unapplied)
        except UnreachableError:
            return
        except RefusedError as error:
            if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR or error.status in _PASSING:
                self._tell_of_waiting(error)
                return
            hint = " Set FLOWENGINE_KEY to a key with the role admin." if error.status in _NO_KEY else ""
            self._say(f"not applied: {error.detail}{hint}")
        except FlowEngineError as error:
            self._say(f"not applied: {error}")
        self._unapplied = frozenset()
        self._has_told_of_waiting = False

    def _tell_of_waiting(self, error: RefusedError) -> None:
        if not self._has_told_of_waiting:
            self._has_told_of_waiting = True
            self._say(f"not applied yet, and tried again until it is: {error.detail}")

    def _find(self) -> list[Path]:
        return list(dict.fromkeys(find_files(self._paths, _pass_over)))

    def _apply(self, changed: Collection[Path]) -> None:
        found = self._find()
        if not found:
            self._say("no workflow files there yet (*.yaml, *.yml, *.json)")
            return
        files = read_files(found, _pass_over)
        planned, wrong = files.judge(self._client)
        told = list(dict.fromkeys(wrong))
        while wrong:
            files = files.without({path for path, _ in wrong})
            planned, wrong = files.judge(self._client)
            told += [each for each in wrong if each not in told]
        files.carry_out(self._client, planned)
        self._tell(changed, planned, told, files.warnings)

    def _tell(
        self,
        changed: Collection[Path],
        planned: Sequence[Planned],
        wrong: Sequence[tuple[Path, Problem]],
        warnings: Sequence[tuple[Path, Problem]],
    ) -> None:
        """Everything that is wrong; of the rest only what has changed, and the first time how much it is."""
        for path, problem in wrong:
            self._say(problem_line(path, problem))
        for path, warning in warnings:
            if path in changed:
                self._say(f"{problem_line(path, warning)} (a warning)")
        if not self._has_applied:
            self._has_applied = True
            self._say(f"applied: {summary(planned)}")
        else:
            for each in planned:
                if each.change != "same":
                    self._say(each.headline)
                    for line in each.lines:
                        self._say(f"  {line}")
        if self._was_wrong and not wrong:
            self._say("all files are valid again")
        self._was_wrong = bool(wrong)


def _pass_over(link: Path) -> None:
    """A link that leads out of the folder: `flowengine validate` tells of it."""
