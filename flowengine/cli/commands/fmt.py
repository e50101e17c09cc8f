"""`flowengine fmt`: workflow files in the one layout."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from flowengine.cli.workflow_files import STDIN, WorkflowPath, find_files, is_json, problem_line, read_file
from flowengine.errors import CannotRunError
from flowengine.plaintext import plain_text

DIFFERENT: Final = 1
"""The exit code of `--check` where a file has another layout."""
INVALID: Final = 2
JSON: Final = ".json"
_LEADS_OUT: Final = (
    "it is a link that leads out of its folder, where fmt writes nothing: name the file itself"
)


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=WorkflowPath())
@click.option("--check", is_flag=True, help="Write nothing; exit code 1 where a file has another layout.")
@click.pass_context
def fmt(ctx: click.Context, paths: tuple[Path, ...], check: bool) -> None:
    """Bring workflow files in YAML, and all those in folders, into the one layout.

    Fields stand in one order, blocks are indented by two spaces; comments stay. What a file says does not
    change. - reads standard input and writes to standard output. JSON is passed over in folders. What a link
    leads to is written only if it is in the link's own folder.
    """
    from flowengine.cli.authoring.formatting.formatted import UnformattableError
    from flowengine.settings import Limits
    from flowengine.workflow.problems import Problem

    limits = Limits()
    found = dict.fromkeys(find_files(paths, _say_skipped))
    files = [path for path in found if path in paths or path.suffix.lower() != JSON]
    changed = bad = 0
    for path in files:
        if _leads_out(path):
            bad += 1
            problem = Problem(code=UnformattableError.code, pointer="", message=_LEADS_OUT)
            click.echo(problem_line(path, problem))
            continue
        body = read_file(path, limits)
        if len(body) > limits.max_body_bytes:
            raise CannotRunError(f"{path} is larger than a workflow may be ({limits.max_body_bytes} bytes)")
        text = _formatted(path, body)
        if text is None:
            bad += 1
        elif path == STDIN:
            changed += _is_other(text, body)
            if not check:
                click.echo(text, nl=False)
        elif _is_other(text, body):
            changed += 1
            if not check:
                _write(path, text)
            click.echo(plain_text(f"{'would format' if check else 'formatted'} {path}"))
    _sum_up(files, changed, bad, check=check)
    if bad or not files:
        ctx.exit(INVALID)
    if check and changed:
        ctx.exit(DIFFERENT)


def _formatted(path: Path, body: bytes) -> str | None:
    """The text in the one layout; None, and a line that says why, where it has none."""
    # The library that lays documents out takes a while to import, and only this command needs it.
    from flowengine.cli.authoring.formatting.formatted import UnformattableError, formatted
    from flowengine.workflow.problems import Problem
    from flowengine.workflow.reading.malformed import MalformedError

    try:
        if is_json(path, body):
            raise UnformattableError("this is JSON, and fmt lays out YAML")
        return formatted(body)
    except MalformedError as error:
        problem = Problem(
            code=error.reason, pointer="", message=str(error), line=error.line, column=error.column
        )
    except UnformattableError as error:
        problem = Problem(code=error.code, pointer="", message=str(error))
    click.echo(problem_line(path, problem))
    return None


def _leads_out(path: Path) -> bool:
    """Whether it is a link to a file elsewhere: `fmt *.yaml` names it, and means the files of this folder."""
    return path.is_symlink() and not path.resolve().is_relative_to(path.parent.resolve())


def _is_other(text: str, body: bytes) -> bool:
    return text.encode() != body


def _write(path: Path, text: str) -> None:
    """Replace the file as a whole: one who reads it meanwhile sees the old text or the new one."""
    target = path.resolve()
    try:
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
                file.write(text)
            shutil.copymode(target, name)
            os.replace(name, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise
    except OSError as error:
        raise CannotRunError(f"cannot write {path}: {error.strerror}") from error


def _sum_up(files: Sequence[Path], changed: int, bad: int, *, check: bool) -> None:
    if files == [STDIN]:
        return
    if not files:
        click.echo("no workflow files there (*.yaml, *.yml, *.json)", err=True)
        return
    told = [f"{changed} {'to format' if check else 'formatted'}"] if changed else []
    told += [f"{bad} left as they are"] if bad else []
    same = len(files) - changed - bad
    told += [f"{same} in order already"] if same else []
    click.echo(", ".join(told), err=True)


def _say_skipped(link: Path) -> None:
    click.echo(plain_text(f"skipped {link}: it is a link that leads out of the folder"), err=True)
