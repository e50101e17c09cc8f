"""Workflow files: as arguments of a command, found in folders, read, checked.

`-` is standard input. Importing this loads no library but click: `flowengine --help` needs its argument type.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowengine.errors import CannotRunError
from flowengine.plaintext import plain_text

if TYPE_CHECKING:
    from flowengine.plugin import Registry
    from flowengine.settings import Limits
    from flowengine.workflow import Checked, Form
    from flowengine.workflow.problems import Problem

SUFFIXES = frozenset({".yaml", ".yml", ".json"})
CASE_SUFFIXES = (".test.yaml", ".test.yml", ".test.json")
STDIN = Path("-")


class WorkflowPath(click.Path):
    """The type of an argument that is a path or `-`. Whether there is a file is seen when it is read."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path. An empty text would mean the current directory, which nobody meant to say."""
        if value == "":
            self.fail("the path is empty: name a workflow file, or - for standard input", param, ctx)
        return Path(str(value))


def find_files(paths: Sequence[Path], skipped: Callable[[Path], None]) -> Iterator[Path]:
    """The files among `paths`, and those in its folders at any depth, sorted. Hidden ones are left out. So
    are files of tests, also where they are named: `workflows/*.yaml` names them.

    `skipped` gets each link in a folder that leads out of it: what it leads to is nobody's business who only
    asked for the folder. Links within the folder are followed, to folders not. A path that is named itself
    may lead anywhere.
    """
    for path in paths:
        if path.is_dir():
            yield from sorted(found for found in _found_in(path, skipped) if not is_case_file(found))
        elif not is_case_file(path):
            yield path


def find_case_files(paths: Sequence[Path], skipped: Callable[[Path], None]) -> Iterator[Path]:
    """The files of tests among `paths`, beside the workflows among them, and in their folders.

    Raises CannotRunError for a workflow that has none.
    """
    for path in paths:
        if path.is_dir():
            yield from sorted(found for found in _found_in(path, skipped) if is_case_file(found))
        elif is_case_file(path):
            yield path
        else:
            yield _beside(path)


def is_case_file(path: Path) -> bool:
    """Whether this is a file of tests, and no workflow, by its name."""
    return path.name.lower().endswith(CASE_SUFFIXES)


def _beside(workflow: Path) -> Path:
    """The file of a workflow's tests. Raises CannotRunError."""
    names = [f"{name}{ending}" for name in (workflow.name, workflow.stem) for ending in CASE_SUFFIXES]
    for name in names:
        if (workflow.parent / name).is_file():
            return workflow.parent / name
    raise CannotRunError(
        f"{workflow} has no tests beside it: they stand in {workflow.stem}{CASE_SUFFIXES[0]}. "
        "See: flowengine help testing"
    )


def _found_in(folder: Path, skipped: Callable[[Path], None]) -> Iterator[Path]:
    inside = folder.resolve()
    for found in folder.rglob("*"):
        if found.suffix.lower() not in SUFFIXES or _is_hidden(found, folder):
            continue
        if found.is_symlink() and not found.resolve().is_relative_to(inside):
            skipped(found)
        elif found.is_file():
            yield found


def read_file(path: Path, limits: Limits) -> bytes:
    """The file's bytes, one more than the limit at most. Raises CannotRunError if it cannot be read."""
    from flowengine.settings.regular_file import read_regular

    try:
        if path == STDIN:
            return sys.stdin.buffer.read(limits.max_body_bytes + 1)
        return read_regular(path, limits.max_body_bytes + 1)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise CannotRunError(f"cannot read {path}: {reason}") from error


def check_file(path: Path, body: bytes, registry: Registry, limits: Limits) -> Checked:
    """The file's plan, or its problems, with line and column. Warnings are of secrets that are not here."""
    from flowengine.cli.tool_settings import has_secret
    from flowengine.workflow import check

    form: Form = "json" if is_json(path, body) else "yaml"
    return check(body, form, registry, limits, has_secret=has_secret)


def read_and_check(path: Path, registry: Registry, limits: Limits) -> Checked:
    """The file's plan, or its problems; that it cannot be read is one of them."""
    from flowengine.workflow import Checked
    from flowengine.workflow.problems import Problem

    try:
        return check_file(path, read_file(path, limits), registry, limits)
    except CannotRunError as error:
        return Checked(None, (Problem(code="unreadable", pointer="", message=str(error)),))


def problem_line(path: Path, problem: Problem) -> str:
    """`file:line:column: code: message`, as editors read it: one line, whatever the document says."""
    name = "<stdin>" if path == STDIN else path
    place = f"{name}:{problem.line or 1}:{problem.column or 1}"
    return plain_text(f"{place}: {problem.code}: {problem.message}")


def is_json(path: Path, body: bytes) -> bool:
    """Whether the file is JSON, and not YAML.

    By the name; standard input has none, and no workflow in YAML needs to start with a brace."""
    if path == STDIN:
        return body.lstrip()[:1] == b"{"
    return path.suffix.lower() == ".json"


def _is_hidden(found: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in found.relative_to(root).parts)
