"""Which correlation id a request has: its own if it can be trusted on a log line, else a new one."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from typing import Final

HEADER: Final = "X-Correlation-ID"
_NAME: Final = HEADER.lower().encode()
_TRUSTED: Final = re.compile(rb"[\x21-\x7e](?:[\x20-\x7e]{0,126}[\x21-\x7e])?")


def correlation_id_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The request's id: 1 to 128 printable ASCII characters, sent once; anything else is replaced."""
    sent = [value for name, value in headers if name == _NAME]
    if len(sent) == 1 and _TRUSTED.fullmatch(sent[0]):
        return sent[0].decode("ascii")
    return secrets.token_hex(16)
