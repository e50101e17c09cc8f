"""The stack that a command asks, and what becomes of a call that is refused."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

import click

from flowengine.cli.output.error_line import show_error
from flowengine.errors import CannotRunError, FlowEngineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flowengine.client import Client, RefusedError
    from flowengine.workflow.problems import Problem

_INVALID: Final = (400, 413, 415, 422)


class InvalidInputError(click.ClickException):
    """What was given is refused: exit code 2. `problems` are lines of their own."""

    exit_code = 2

    def __init__(self, code: str, message: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.problems = tuple(problems)

    def show(self, file: object = None) -> None:
        """Print the message, and each problem."""
        told = (
            f"\n  {problem.pointer or '/'}: {problem.code}: {problem.message}" for problem in self.problems
        )
        show_error(self.message + "".join(told))


@contextlib.contextmanager
def stack(*, as_json: bool = False) -> Iterator[Client]:
    """The stack of FLOWENGINE_URL. `as_json`: a refusal is printed as JSON too.

    Raises InvalidInputError, CannotRunError, and what else the client raises.
    """
    from flowengine.client import Client, RefusedError

    try:
        with Client() as client:
            yield client
    except RefusedError as error:
        _print_refusal(as_json, error.code, error.detail, error.problems)
        raise _explained(error) from error
    except FlowEngineError as error:
        _print_refusal(as_json, error.code, str(error))
        raise
    except InvalidInputError as error:
        _print_refusal(as_json, error.code, error.message, error.problems)
        raise


def _print_refusal(as_json: bool, code: str, detail: str, problems: Sequence[Problem] = ()) -> None:
    if as_json:
        from flowengine.cli.output.tables import print_json_line

        print_json_line({"code": code, "detail": detail, **({"problems": problems} if problems else {})})


def _explained(error: RefusedError) -> Exception:
    """The refusal, with what a user of the tool can do about it."""
    if error.status in _INVALID:
        count = len(error.problems)
        told = f"refused, {count} problem{'s' * (count > 1)}:" if count else error.detail
        return InvalidInputError(error.code, told, error.problems)
    if error.status == 401:
        return CannotRunError(
            f"{error.detail} Set FLOWENGINE_KEY to a key of this stack; `flowengine key new ID` makes one."
        )
    return CannotRunError(error.detail)
