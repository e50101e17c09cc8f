"""Arguments and options that several of these commands have."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import click

from flowengine.cli.stack.completing import complete_id
from flowengine.cli.workflow_files import WorkflowPath

_Command = TypeVar("_Command", bound=Callable[..., Any])

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def execution_argument(command: _Command) -> _Command:
    """ID: the execution's, or its beginning."""
    return click.argument("execution", metavar="ID", shell_complete=complete_id)(command)


def json_option(command: _Command) -> _Command:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, one document a line.")(command)


def given_options(command: _Command) -> _Command:
    """`--input`, `--inputs`, `--label`."""
    for option in (
        click.option(
            "--label", "labels", multiple=True, metavar="NAME=VALUE", help="A label of the execution."
        ),
        click.option(
            "--inputs",
            "inputs_file",
            type=WorkflowPath(),
            metavar="FILE",
            help="Inputs from a file, JSON or YAML; --input takes precedence.",
        ),
        click.option(
            "--input", "given", multiple=True, metavar="NAME=VALUE", help="An input: text, or JSON."
        ),
    ):
        command = option(command)
    return command


def waiting_options(command: _Command) -> _Command:
    """`--wait`, `--follow`."""
    for option in (
        click.option("--follow", is_flag=True, help="Show its nodes until it has ended, then its results."),
        click.option("--wait", is_flag=True, help="Wait until it has ended, then print its results."),
    ):
        command = option(command)
    return command


def ago(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
    """The time so long ago: 30m, 24h, 7d."""
    if value is None:
        return None
    found = re.fullmatch(r"([0-9]{1,6})([smhd])", value)
    if found is None:
        raise click.BadParameter(f"{value!r} is no such time: say 30m, 24h or 7d")
    return datetime.now(UTC) - timedelta(**{_UNITS[found[2]]: int(found[1])})


def label_pairs(pairs: Sequence[str]) -> dict[str, str]:
    """The labels of `--label`, each NAME=VALUE."""
    found = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not name or not sign:
            raise click.BadParameter(f"{pair!r} is no label: write --label NAME=VALUE")
        found[name] = value
    return found
