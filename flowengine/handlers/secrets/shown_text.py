"""What a message may show of a rendered value: it is redacted first, and cut afterwards.

Redaction knows secrets as wholes, and the starts of secrets before a `...`. A part that was cut out of a
rendered value (the host of an address, the first 60 characters of a name) may be a part of a secret, which
nobody would recognise. So code that cuts asks here.

The redactor is the one of the call that runs: the invoker sets it, as it sets the deadline.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Final, TypeAlias

from flowengine.handlers.context_value import ContextValue

Redactor: TypeAlias = Callable[[str], str]

CUT: Final = "..."
MASK: Final = "***"

REDACTOR: Final[ContextVar[Redactor | None]] = ContextVar("flowengine_redactor", default=None)
"""`redacting` sets it; what calls many handlers sets it by itself, as that costs less than a block."""


def redacting(redactor: Redactor | None) -> AbstractContextManager[None]:
    """Within the block, texts of this context are redacted by `redactor`. None: they stay as they are."""
    return ContextValue(REDACTOR, redactor)


def redacted(text: str) -> str:
    """The text with every known secret in it replaced by `***`."""
    redactor = REDACTOR.get()
    return text if redactor is None else redactor(text)


def quoted_part(text: str, most: int) -> str:
    """At most `most` characters of the text in quotes, redacted before it is cut; `...`: it goes on."""
    shown = redacted(text)
    return f"{shown[:most]!r}" + (CUT if len(shown) > most else "")
