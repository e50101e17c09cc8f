"""The version of everything that is stored: plans, records, keys, messages.

A process reads its own version and the one before. It writes each plan and message in the oldest version that
can say it, so that what uses nothing new stays what it was. Version 1 is the exception: it had no version
marks, so nothing that it stored can be told from anything else, and a version-2 process refuses to start on
it.
"""

from __future__ import annotations

from typing import Final

FORMAT: Final = 3
"""The newest version. It has rules that say whether a node runs, and retries by timer."""

CORE_FORMAT: Final = 2
"""The version of what uses none of that."""

READABLE: Final = frozenset({CORE_FORMAT, FORMAT})
"""The versions that this process understands."""
