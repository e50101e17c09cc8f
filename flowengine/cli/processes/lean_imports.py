"""Imports libraries without what they import wherever it happens to be installed.

That is rich, pygments and click, for coloured tracebacks and a command line that nobody here uses: 5 MB and
0.2 s in every process of the stack; OpenTelemetry, for metrics of redis-py that nobody asks for: 2.5 MB; and
typing_extensions, of which msgspec takes what `typing` has as well: 0.6 MB.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator

_HIDDEN = ("rich", "pygments", "click", "opentelemetry", "typing_extensions")


def import_lean(*libraries: str) -> None:
    """Import `libraries` now, before anything else does, as if none of those were installed.

    Those that are imported already stay. Later imports of the others work.
    """
    with as_if_not_installed(*_HIDDEN):
        for library in libraries:
            importlib.import_module(library)


@contextlib.contextmanager
def as_if_not_installed(*libraries: str) -> Iterator[None]:
    """Imports of these fail inside, but for those that are imported already."""
    hidden = [name for name in libraries if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # None makes `import` fail, as documented
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
