"""Reads the options that `programs` writes. No user sees them, so there is nothing to explain or refuse."""

from __future__ import annotations

import os
import sys
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


def admit_current_directory() -> None:
    """Let modules of the current directory be imported, after everything that is installed.

    The modules that FLOWENGINE_HANDLERS names are usually where the user stands.
    """
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
