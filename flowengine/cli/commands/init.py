"""`flowengine init`: a project to begin with. It writes files, and never over others."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

import click

from flowengine.errors import CannotRunError
from flowengine.plaintext import plain_text


@click.command()
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(path_type=Path))
def init(folder: Path) -> None:
    """Make a project in DIR (the current folder): a workflow, a handler, a test, and what CI needs.

    Files that are there already stay as they are.
    """
    from flowengine.cli.authoring.new_project import project_files, project_name

    made = _write(folder, project_files(project_name(folder.resolve().name)))
    if not made:
        click.echo("nothing was written: all files of a new project are there already", err=True)
        return
    click.echo("")
    if folder != Path():
        click.echo(plain_text(f"Go there:      cd {shlex.quote(str(folder))}"))
    click.echo("Run it:        flowengine run workflows/greeting.yaml")
    click.echo("Test it:       flowengine test")
    click.echo("Work on it:    flowengine dev")
    click.echo("Learn more:    flowengine help")


def _write(folder: Path, files: Mapping[str, str]) -> list[str]:
    """Write those that are not there. Returns their paths. Raises CannotRunError where that cannot be."""
    made = []
    for name, text in files.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # "x": the file is made by this call, or it is not touched, also if another program makes one now.
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            if not path.parent.is_dir():
                raise CannotRunError(f"cannot make {path}: {path.parent} is no folder") from None
            click.echo(plain_text(f"kept     {name}, which is there already"))
        except OSError as error:
            raise CannotRunError(f"cannot make {path}: {error.strerror}") from error
        else:
            made.append(name)
            click.echo(plain_text(f"made     {name}"))
    return made
