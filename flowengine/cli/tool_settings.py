"""The settings as the tool reads them: from the environment and `.env`, without the services' libraries."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
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


def read_document_settings() -> Settings:
    """The settings that say what a document may hold: the limits, and where handlers are found.

    No other setting is looked at, and no file that one names is opened: a user who checks a file in another's
    folder must not have to trust its `.env`. Raises SettingsError.
    """
    from flowengine.settings import load_settings

    return load_settings(
        os.environ,
        DOTENV,
        wanted=lambda setting: setting.field == "handlers" or setting.field.startswith("limits."),
    )


def has_secret(name: str) -> bool:
    """Whether the environment or `.env` has `{{ secrets.NAME }}` or names its file, which is not read."""
    variables = _variables()
    return any(
        variables.get(f"FLOWENGINE_SECRET_{written}{ending}")
        for written in (name, name.upper())
        for ending in ("", "_FILE")
    )


def defaults_for_development(**defaults: str) -> dict[str, str]:
    """This process's environment, with `defaults` for the variables that neither it nor `.env` sets."""
    merged = _variables()
    return {**os.environ, **{name: value for name, value in defaults.items() if not merged.get(name)}}


def chosen_server() -> str | None:
    """REDIS_URL if the user has set it, else None."""
    return _variables(files_of=("REDIS_URL",)).get("REDIS_URL") or None


def unknown_settings() -> tuple[str, ...]:
    """Names that look like settings and are none, each with the nearest known one.

    Empty if `.env` cannot be read: the commands that need it say so themselves.
    """
    from flowengine.errors import SettingsError
    from flowengine.settings.loading import unknown_names

    try:
        return tuple(unknown_names(_variables()))
    except SettingsError:
        return ()


def _variables(*, files_of: Collection[str] = ()) -> Mapping[str, str]:
    """All variables; of the files that settings may come from, only those of these settings are read."""
    from flowengine.settings import environment

    return environment(os.environ, DOTENV, files_of=files_of)
