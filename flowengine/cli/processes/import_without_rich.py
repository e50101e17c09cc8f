"""Imports structlog and httpx without rich, pygments and click.

They import these wherever they are installed, for coloured tracebacks and a command line that nobody here
uses: 5 MB and 0.2 s in every process of the stack.
"""

from __future__ import annotations

import importlib
import sys

_HIDDEN = ("rich", "pygments", "click")


def import_without_rich(*libraries: str) -> None:
    """Import `libraries` now, before anything else does, as if rich, pygments and click were not installed.

    Those that are imported already stay. Later imports of the others work.
    """
    hidden = [name for name in _HIDDEN if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # None makes `import` fail, as documented
    try:
        for library in libraries:
            importlib.import_module(library)
    finally:
        for name in hidden:
            del sys.modules[name]
