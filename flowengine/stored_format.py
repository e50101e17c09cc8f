"""The version of everything that is stored: plans, records, keys, messages.

A process reads its own version and the one before. Version 1 is the exception: it had no version marks,
so nothing that it stored can be told from anything else, and a version-2 process refuses to start on it.
"""

from __future__ import annotations

from typing import Final

FORMAT: Final = 2

READABLE: Final = frozenset({2})
"""The versions that this process understands."""
