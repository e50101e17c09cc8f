"""Where in somebody's code an exception came from. Pure.

Names the file without its folder: messages reach the callers of the API.
"""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path
from typing import Final

_OURS: Final = str(Path(__file__).parents[2])
_INSTALLED: Final = tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
_MAX_NAME_CHARS: Final = 100


def place_of(error: BaseException) -> str:
    """` (my_handlers.py:42)`: the last line outside of FlowEngine, in the user's files before libraries'.

    Empty when there is none.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return _written(error.filename, error.lineno)
    frames = [
        (frame.f_code.co_filename, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if not frame.f_code.co_filename.startswith((_OURS, "<frozen "))
    ]
    own = [found for found in frames if not found[0].startswith(_INSTALLED)]
    # An installed package of handlers has only library frames: its own come first.
    best = own[-1] if own else next(iter(_of_first_package(frames)), None)
    return "" if best is None else _written(*best)


def _of_first_package(frames: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """The frames of the package that was called first, the last of them first."""
    outside_python = [found for found in frames if not _is_standard(found[0])]
    if not outside_python:
        return []
    home = Path(outside_python[0][0]).parent
    return [found for found in reversed(outside_python) if Path(found[0]).is_relative_to(home)]


def _is_standard(name: str) -> bool:
    return name.startswith(_INSTALLED[:2]) and not name.startswith(_INSTALLED[2:])


def _written(name: str, line: int | None) -> str:
    return f" ({Path(name).name[-_MAX_NAME_CHARS:]}:{line})"
