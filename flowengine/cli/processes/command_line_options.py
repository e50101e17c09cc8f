"""Reads the options that `programs` writes. No user sees them, so there is nothing to explain or refuse."""

from __future__ import annotations

from collections.abc import Sequence


def parse_options(arguments: Sequence[str]) -> dict[str, str]:
    """`--name value` pairs by name; a flag without a value maps to the empty text."""
    options: dict[str, str] = {}
    name = ""
    for argument in arguments:
        if argument.startswith("--"):
            name = argument.removeprefix("--")
            options[name] = ""
        else:
            options[name] = argument
    return options
