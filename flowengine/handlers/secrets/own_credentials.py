"""The credentials of the services themselves: no template names them, but a service may repeat them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import parse_qsl, unquote

from flowengine.settings.model import Settings

_NAMES_A_SECRET: Final = re.compile("pass|pwd|secret|token|key|sig|auth|cred", re.IGNORECASE)
_MIN_USER_CHARS: Final = 8


def own_credentials(settings: Settings) -> list[str]:
    """The keys of the language model and of webhooks, and the passwords inside REDIS_URL and LLM_BASE_URL."""
    signs = settings.webhook_key or ""
    found = [settings.llm_api_key or "", signs, signs.removeprefix("whsec_")]
    for url in (settings.redis_url, settings.llm_base_url or ""):
        for written in _credentials_of(url):
            found += [written, unquote(written)]
    return list(dict.fromkeys(text for text in found if text))


def _credentials_of(url: str) -> Iterator[str]:
    """What stands where a URL holds credentials, as it is written there.

    Goes by the last `@`: a password with a raw `/`, `?` or `#` is wrong in a URL, but it is a password.
    """
    rest = url.partition("://")[2]
    user, colon, password = rest.rpartition("@")[0].partition(":")
    if colon:
        yield password
    elif len(user) >= _MIN_USER_CHARS:
        yield user  # a token alone: https://TOKEN@host
    for name, value in parse_qsl(rest.partition("?")[2], keep_blank_values=False):
        if _NAMES_A_SECRET.search(name):
            yield value
