"""The tool's outermost layer: which commands there are, and what becomes of their errors.

Exit codes: 0 done, 1 the workflow failed, 2 invalid input, 3 could not run, 130 interrupted, 141 the
reader of the output went away.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import traceback

import click

from flowengine import __version__
from flowengine.cli.commands.completion import completion
from flowengine.cli.commands.dev import dev
from flowengine.cli.commands.fmt import fmt
from flowengine.cli.commands.graph import graph
from flowengine.cli.commands.handlers_and_schema import handlers, schema
from flowengine.cli.commands.help import show_help
from flowengine.cli.commands.importing import import_file
from flowengine.cli.commands.init import init
from flowengine.cli.commands.key import key
from flowengine.cli.commands.run import run
from flowengine.cli.commands.services import api, orchestrator, worker
from flowengine.cli.commands.test import run_tests
from flowengine.cli.commands.validate import validate
from flowengine.cli.output.error_line import show_error
from flowengine.cli.output.streams import write_any_character
from flowengine.cli.stack.all_commands import STACK_COMMANDS
from flowengine.errors import FlowEngineError
from flowengine.plaintext import plain_text

INTERRUPTED = 130
READER_GONE = 141
"""The exit code that a shell sees when SIGPIPE has ended a program: `flowengine run file | head -1`."""

_CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
_LOG_UNKNOWN_SETTINGS = frozenset({"api", "orchestrator", "worker"})


class CouldNotRun(click.ClickException):
    """One clear line on standard error, exit code 3."""

    exit_code = 3

    def show(self, file: object = None) -> None:
        """Print the message alone; a traceback would hide it."""
        show_error(self.message)


class ReaderGone(click.ClickException):
    """Nobody reads the output any more, so there is nobody to tell."""

    exit_code = READER_GONE

    def show(self, file: object = None) -> None:
        """Print nothing."""


class Tool(click.Group):
    """A group at whose edge every error becomes a line and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order in which a newcomer meets them."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; errors of ours become CouldNotRun."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except BrokenPipeError as error:
            _discard_output()
            raise ReaderGone("the reader of the output went away") from error
        except FlowEngineError as error:
            raise CouldNotRun(str(error)) from error
        except Exception as error:
            if isinstance(error, OSError) and error.errno in _CANNOT_WRITE:
                _discard_output()
                raise CouldNotRun(f"cannot write the output: {error.strerror}") from error
            raise CouldNotRun(
                f"{_describe(error)}. This is a defect of flowengine: please report it"
            ) from error


@click.group(cls=Tool, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, "-V", "--version", prog_name="flowengine", message="%(prog)s %(version)s")
@click.pass_context
def tool(ctx: click.Context) -> None:
    """Declarative, durable workflows on Redis."""
    if ctx.invoked_subcommand not in _LOG_UNKNOWN_SETTINGS:
        _warn_of_unknown_settings()


for _command in (
    run,
    dev,
    init,
    validate,
    run_tests,
    fmt,
    import_file,
    graph,
    *STACK_COMMANDS,
    api,
    orchestrator,
    worker,
    handlers,
    schema,
    key,
    completion,
    show_help,
):
    tool.add_command(_command)


def run_tool() -> int:
    """Run the command line of this process; returns its exit code."""
    write_any_character()
    try:
        return int(tool.main(prog_name="flowengine", standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        click.echo("interrupted", err=True)
        return INTERRUPTED


def _warn_of_unknown_settings() -> None:
    from flowengine.cli.tool_settings import unknown_settings

    for name in unknown_settings():
        click.echo(plain_text(f"warning: there is no setting {name}: it is ignored"), err=True)


def _discard_output() -> None:
    """Send what is still in the buffer nowhere: Python would complain at its end that it cannot write it."""
    with contextlib.suppress(OSError, ValueError), open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def _describe(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"internal error in {frame.name}, line {frame.lineno}: {type(error).__name__}: {error}"
