"""How large an answer may be that becomes a result, by the settings of this process.

Handlers look before they parse: a parsed answer takes up to 40 times its size, and the limit on results
is looked at last.
"""

from __future__ import annotations

from typing import Final

from flowengine.plugin.context import Context

SETTING: Final = "FLOWENGINE_MAX_RESULT_BYTES"
DEFAULT_BYTES: Final = 1024 * 1024


def max_result_bytes(context: Context) -> int:
    """Bytes of a result as JSON."""
    try:
        return int(context.environment(SETTING) or DEFAULT_BYTES)
    except ValueError:
        return DEFAULT_BYTES
