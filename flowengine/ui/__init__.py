"""The web page, as files: what a browser loads from `/ui`. Needs no build step and no internet."""

from __future__ import annotations

from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "static"
"""`index.html`, our scripts and styles, and what others wrote in `vendor`, and examples of workflows."""

MEDIA_TYPES: Final = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".yaml": "text/plain",
}
"""Of the files that are served; any other file in the folder is not."""


def served_files() -> dict[str, Path]:
    """Every file that is served, by its path below the folder, such as `app/main.js`."""
    return {
        path.relative_to(FOLDER).as_posix(): path
        for path in sorted(FOLDER.rglob("*"))
        if path.suffix in MEDIA_TYPES and path.is_file()
    }
