"""Paths of workflow files as arguments: `-` is standard input, and no path is no path."""

from __future__ import annotations

from pathlib import Path

import click


class DocumentPath(click.Path):
    """A path; whether there is a file is seen when it is read."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path. An empty text would mean the current directory, which nobody wanted to say."""
        if value == "":
            self.fail("the path is empty: name a workflow file, or - for standard input", param, ctx)
        return Path(str(value))
