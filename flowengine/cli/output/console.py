"""The console that the tool's rich output goes to."""

from __future__ import annotations

from typing import Any, NoReturn

from rich.console import Console

from flowengine.cli.output.streams import styles_wanted


class OutputConsole(Console):
    """A console that leaves text as it is, and what follows a reader who has gone to the tool.

    With NO_COLOR it writes no style of any kind: rich would leave out colours and keep bold.
    """

    def __init__(self, **options: Any) -> None:
        if not styles_wanted():
            options["color_system"] = None
        super().__init__(**{"highlight": False, "emoji": False, "markup": False, **options})

    def on_broken_pipe(self) -> NoReturn:
        """Raise BrokenPipeError: rich would exit with 1, which says that the workflow failed."""
        self.quiet = True
        raise BrokenPipeError
