"""Where the API may listen, and to which host names it answers. Without keys: this machine only."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from msgspec.structs import replace

from flowengine.errors import SettingsError
from flowengine.settings import Settings

_NAME_CHARS: Final = 255
"""No host has a longer name (RFC 1035): what is longer is not remembered."""


def check_binding(settings: Settings, host: str, *, insecure: bool, has_keys: bool = False) -> None:
    """Raises SettingsError when the API would listen beyond this machine and nothing keeps strangers out.

    `has_keys`: there are keys elsewhere than in the settings.
    """
    if not needs_keys(settings, host, insecure=insecure) or has_keys:
        return
    raise SettingsError(
        f"without keys the API listens on loopback only, not on {host or 'all addresses'}: "
        "make a key (flowengine key new), or set FLOWENGINE_API_KEYS, or say --insecure where something else "
        "keeps strangers out"
    )


def needs_keys(settings: Settings, host: str, *, insecure: bool) -> bool:
    """Whether only keys in Redis could keep strangers out."""
    return not (settings.api_keys or insecure or is_loopback(host))


def is_loopback(host: str) -> bool:
    """Whether a host name or address literal can only mean this machine."""
    name = host.lower().removesuffix(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False


def with_public_url(settings: Settings, port: int) -> Settings:
    """The settings of an API that listens on this port, with the base of callback URLs; empty: there is none.

    What listens on loopback is reached at its own address, by services of this machine.
    """
    if settings.limits.public_url is not None:
        return settings
    host = settings.api_host.strip("[]")
    own = f"http://{f'[{host}]' if ':' in host else host}:{port}" if port and is_loopback(host) else ""
    return replace(settings, limits=replace(settings.limits, public_url=own))


def served_hosts_only(settings: Settings, asks_for_keys: Callable[[], bool]) -> Callable[[str], bool]:
    """Tells which values of the Host header are served.

    Without keys the only protection is that nobody else reaches loopback. A web page reaches it if it
    points a name of its own at 127.0.0.1 (DNS rebinding), but it cannot change the Host header.
    """
    if settings.served_hosts:
        named = frozenset(name.lower().strip("[]") for name in settings.served_hosts)
        return lambda host: _without_port(host).lower().strip("[]") in named
    if settings.insecure:
        return lambda _: True
    remembered = lru_cache(maxsize=256)(is_loopback)

    def is_served(host: str) -> bool:
        name = _without_port(host)
        judge = remembered if len(name) <= _NAME_CHARS else is_loopback
        return judge(name) or asks_for_keys()

    return is_served


def _without_port(host: str) -> str:
    name, _, port = host.rpartition(":")
    return name if port.isdecimal() and ":" in host else host
