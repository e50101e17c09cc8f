"""Libraries without what they import for show.

structlog and httpx import rich, pygments and click wherever those are installed, for tracebacks and a
command line that nobody here uses: 5 MB and 0.2 s in every process of the stack.
"""

from __future__ import annotations

import importlib
import sys

_FOR_SHOW = ("rich", "pygments", "click")


def import_without_rich(*libraries: str) -> None:
    """Import `libraries` now, before anything else does, as if nothing for show were installed.

    What is imported already stays as it is, and whoever wants rich afterwards gets it.
    """
    hidden = [name for name in _FOR_SHOW if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # None makes `import` fail, as documented
    try:
        for library in libraries:
            importlib.import_module(library)
    finally:
        for name in hidden:
            del sys.modules[name]
