"""The settings as the tool reads them: from the environment and `.env`, without the services' libraries."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowengine.settings import Settings

DOTENV = Path(".env")


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings in `environ` (default: this process's environment) and `.env`.

    Raises SettingsError with every wrong one.
    """
    from flowengine.settings import load_settings

    return load_settings(os.environ if environ is None else environ, DOTENV)


def defaults_for_development(**defaults: str) -> dict[str, str]:
    """This process's environment, with `defaults` for the variables that neither it nor `.env` sets."""
    from flowengine.settings import environment

    merged = environment(os.environ, DOTENV)
    return {**os.environ, **{name: value for name, value in defaults.items() if not merged.get(name)}}


def chosen_server() -> str | None:
    """REDIS_URL if the user has set it, else None."""
    from flowengine.settings import environment

    return environment(os.environ, DOTENV).get("REDIS_URL") or None


def unknown_settings() -> tuple[str, ...]:
    """Names that look like settings and are none, each with the nearest known one.

    Empty if `.env` cannot be read: the commands that need it say so themselves.
    """
    from flowengine.errors import SettingsError
    from flowengine.settings import environment
    from flowengine.settings.loading import unknown_names

    try:
        return tuple(unknown_names(environment(os.environ, DOTENV)))
    except SettingsError:
        return ()
