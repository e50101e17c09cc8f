"""Folders and the page's scripts stay small enough to be read at a glance."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import flowengine

PACKAGE: Final = Path(flowengine.__file__).parent
MOST_FILES: Final = 14
MOST_LINES: Final = 250
LISTED: Final = frozenset({"reference"})
"""Folders whose files are a list, which people read by its index."""


def source_folders() -> Iterator[tuple[str, int]]:
    """Each folder of modules or scripts, and how many it holds; those of data and images are not meant."""
    for folder in (PACKAGE, *PACKAGE.rglob("*")):
        if not folder.is_dir() or folder.name in LISTED or folder.name == "__pycache__":
            continue
        files = [
            each for each in folder.iterdir() if each.suffix in (".py", ".js") and each.stem != "__init__"
        ]
        yield folder.relative_to(PACKAGE).as_posix(), len(files)


def test_no_folder_holds_too_many_files() -> None:
    """Where there are more, a part of them has a name of its own."""
    found = dict(source_folders())
    assert found["engine/advancing"] > 0
    assert {name: count for name, count in found.items() if count > MOST_FILES} == {}


def test_no_script_of_the_page_is_too_long() -> None:
    """One component each."""
    scripts = [each for each in (PACKAGE / "ui" / "static").rglob("*.js") if "vendor" not in each.parts]
    lengths = {each.name: len(each.read_text("utf-8").splitlines()) for each in scripts}
    assert lengths["run_store.js"] > 0
    assert {name: length for name, length in lengths.items() if length > MOST_LINES} == {}
