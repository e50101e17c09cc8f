"""Where a stack is, and the key that opens it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import msgspec

from flowengine.errors import SettingsError

DEFAULT_URL: Final = "http://127.0.0.1:8000"
URL_VARIABLE: Final = "FLOWENGINE_URL"
KEY_VARIABLE: Final = "FLOWENGINE_KEY"
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


class Address(msgspec.Struct, frozen=True):
    """A stack. `url` has no name, no password and no slash at its end."""

    url: str
    key: str | None

    @property
    def headers(self) -> dict[str, str]:
        """What every request carries."""
        return {} if self.key is None else {"Authorization": f"Bearer {self.key}"}

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine: no proxy leads there."""
        return urlsplit(self.url).hostname in _LOOPBACK

    @property
    def nobody_there(self) -> str:
        """What to say where nothing answers."""
        return f"no FlowEngine at {self.url}: start one with `flowengine dev` or set {URL_VARIABLE}"


def address(url: str | None, key: str | None, environ: Mapping[str, str] | None = None) -> Address:
    """The stack that is named, else that of the environment, else the local one. Raises SettingsError.

    A `.env` file is not read: that of another's folder would choose where the key of the environment goes.
    """
    found = os.environ if environ is None else environ
    chosen = (url or found.get(URL_VARIABLE, "")).strip() or DEFAULT_URL
    opened_by = (key or found.get(KEY_VARIABLE, "")).strip() or None
    if opened_by is not None and not (opened_by.isascii() and opened_by.isprintable()):
        raise SettingsError(
            f"{KEY_VARIABLE} must be a key as `flowengine key new` prints it, and nothing else"
        )
    return Address(_checked(chosen), opened_by)


def _checked(url: str) -> str:
    wanted = f"{URL_VARIABLE} must be the address of an API, such as {DEFAULT_URL}"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise SettingsError(f"{wanted}: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError(f"{wanted}: it begins with http:// or https://")
    if parts.username is not None or parts.query or parts.fragment:
        raise SettingsError(f"{wanted}: without a password, a query or a fragment; the key is {KEY_VARIABLE}")
    return url.rstrip("/")
