"""Workflow files that are applied together: read, compared with what a stack has, and sent.

The stack checks them: it alone knows its handlers. All are checked before one is sent, so that a wrong file
changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import msgspec

from flowengine.cli.stack.definitions.difference_line import difference_line
from flowengine.cli.stack.reaching import InvalidInputError
from flowengine.cli.workflow_files import find_files, is_json, problem_line, read_file
from flowengine.client import RefusedError
from flowengine.execution.definitions.views import Change
from flowengine.settings import Limits
from flowengine.workflow.definitions.comparison import Difference
from flowengine.workflow.problems import Problem

if TYPE_CHECKING:
    from flowengine.client import Client

TOGETHER: Final = 100
"""So many files go in one request, at most."""
AT_ONCE: Final = 4
"""So many files are sent at once."""
TOGETHER_BYTES: Final = 4 * 1024 * 1024
_PLACE: Final = "/documents/"
_OTHER: Final = re.compile(r"(?<= )/documents/([0-9]{1,6})\b")

Done: TypeAlias = Change | Literal["deleted"]


class Planned(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is done with a definition. `version`: the one in force; `becomes`: the one that will be."""

    name: str
    change: Done
    version: int | None = None
    becomes: int | None = None
    differences: tuple[Difference, ...] = ()
    file: str | None = None

    @property
    def headline(self) -> str:
        """The line of the definition."""
        match self.change:
            case "new":
                return f"new: {self.name}, version {self.becomes}"
            case "changed":
                return f"changed: {self.name}, version {self.version} -> {self.becomes}"
            case "rewritten":
                return f"rewritten: {self.name} says the same in another text, version {self.version}"
            case "deleted":
                return f"deleted: {self.name}, version {self.version}"
            case "same":
                return f"the same: {self.name}, version {self.version}"

    @property
    def lines(self) -> Iterator[str]:
        """The lines below it."""
        return map(difference_line, self.differences)


class FileSet:
    """Files by the order in which they were found. `warnings`: what may go wrong with them."""

    def __init__(self, files: Sequence[tuple[Path, bytes]]) -> None:
        self._files = files
        self._by_name: dict[str, tuple[int, str]] = {}
        self.warnings: list[tuple[Path, Problem]] = []

    def compare(self, client: Client, *, prune: bool) -> list[Planned]:
        """What is to be done. With `prune`, with the definitions that no file has.

        Raises InvalidInputError with the lines of all that is wrong, in all files.
        """
        planned, wrong = self.judge(client)
        if wrong:
            lines = "".join(f"\n{problem_line(path, problem)}" for path, problem in wrong)
            raise InvalidInputError("invalid_workflow", f"nothing was applied{lines}")
        return [*planned, *(self._absent(client) if prune else ())]

    def judge(self, client: Client) -> tuple[list[Planned], list[tuple[Path, Problem]]]:
        """What is to be done, and all that is wrong. If something is, the former may lack other files too."""
        planned: list[Planned] = []
        wrong: list[tuple[Path, Problem]] = []
        for first, batch in _batches(self._files):
            try:
                found = client.diff_definitions([body for _, body in batch])
            except RefusedError as error:
                if error.code != "invalid_workflow":
                    raise
                wrong += self._placed(error.problems, first)
                continue
            self.warnings += self._placed(found.warnings, first)
            for place, item in enumerate(found.items, first):
                other, value = self._by_name.setdefault(item.name, (place, item.value))
                if other != place and value != item.value:
                    message = f"{item.name!r} is the name of {self._files[other][0]} too, which says "
                    problem = Problem(
                        code="duplicate_name", pointer="/name", message=f"{message}something else: rename one"
                    )
                    wrong.append((self._files[place][0], problem))
                if other != place:
                    continue
                planned.append(
                    Planned(
                        name=item.name,
                        change=item.change,
                        version=item.version,
                        becomes=item.becomes,
                        differences=item.differences,
                        file=str(self._files[place][0]),
                    )
                )
        return planned, wrong

    def without(self, paths: Collection[Path]) -> FileSet:
        """The other files."""
        return FileSet([(path, body) for path, body in self._files if path not in paths])

    def carry_out(self, client: Client, planned: Sequence[Planned]) -> None:
        """Do it: apply what is new or other than it was, some at a time, then delete.

        Raises what the first one that fails raises; those that have not begun by then are left out.
        """
        applied = [each.name for each in planned if each.change not in ("same", "deleted")]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            asked = [pool.submit(client.apply, name, self._body(name)) for name in applied]
            try:
                for each in asked:
                    each.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        for plan in planned:
            if plan.change == "deleted":
                client.delete_definition(plan.name)

    def _body(self, name: str) -> bytes:
        """The text of the file that has this name."""
        return self._files[self._by_name[name][0]][1]

    def _absent(self, client: Client) -> Iterator[Planned]:
        for item in client.definitions(limit=500):
            if item.name not in self._by_name:
                yield Planned(name=item.name, change="deleted", version=item.version)

    def _placed(self, problems: Sequence[Problem], first: int) -> Iterator[tuple[Path, Problem]]:
        """Each with its file, and without its place among the documents."""
        for problem in problems:
            place, _, rest = problem.pointer.removeprefix(_PLACE).partition("/")
            index = int(place) if place.isdecimal() else 0
            pointer = f"/{rest}" if rest else ""
            message = _OTHER.sub(lambda found: str(self._files[first + int(found[1])][0]), problem.message)
            yield (
                self._files[first + index][0],
                msgspec.structs.replace(problem, pointer=pointer, message=message),
            )


def read_files(paths: Sequence[Path], skipped: Callable[[Path], None]) -> FileSet:
    """The workflow files among `paths` and in its folders. `skipped` as for `find_files`.

    Raises InvalidInputError where there are none, CannotRunError for one that cannot be read.
    """
    limits = Limits()
    found = list(find_files(paths, skipped))
    if not found:
        raise InvalidInputError("no_files", "no workflow files there (*.yaml, *.yml, *.json)")
    return FileSet([(path, _as_text(path, read_file(path, limits))) for path in dict.fromkeys(found)])


def _as_text(path: Path, body: bytes) -> bytes:
    """What the API takes for JSON begins with a brace."""
    if is_json(path, body) or body.lstrip()[:1] != b"{":
        return body
    return b"--- " + body


def _batches(files: Sequence[tuple[Path, bytes]]) -> Iterator[tuple[int, Sequence[tuple[Path, bytes]]]]:
    """The files in the portions of requests, each with the place of its first one."""
    first, size = 0, 0
    for place, (_, body) in enumerate(files):
        if place > first and (place - first == TOGETHER or size + len(body) > TOGETHER_BYTES):
            yield first, files[first:place]
            first, size = place, 0
        size += len(body)
    if first < len(files):
        yield first, files[first:]
