"""Prints the licences of everything that is installed beside FlowEngine in this Python, for the image.

The base image brings those of Python and of Debian's packages itself (/usr/share/doc). Uses the standard
library only: nothing is installed into the image for it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path, PurePath
from typing import Final

OURS: Final = "flowengine"
BUNDLED: Final = {
    "Swagger UI (the files of /docs)": "flowengine/api/swagger_ui",
    "Preact, its signals, and htm (in the files of /ui)": "flowengine/ui/static/vendor",
}
"""What FlowEngine's own package carries: a name, and the folder with its licence."""

_HEAD: Final = """\
Third-party software in this image
==================================

FlowEngine itself is under the MIT License. It uses the libraries below, unchanged. Those under the LGPL or
the MPL are here as source code, in site-packages, and may be replaced there; `Source` says where their
authors publish it.
"""
_LINE: Final = "-" * 78
_WORDS: Final = ("license", "licence", "copying", "notice", "authors")
_SOURCES: Final = ("source", "source code", "repository", "code", "github", "homepage", "home")


def main() -> None:
    """Print all of it."""
    sys.stdout.write(_HEAD)
    for library in sorted(distributions(), key=lambda found: found.name.lower()):
        if library.name.lower() != OURS:
            sys.stdout.write(_section(f"{library.name} {library.version}", _facts(library), _texts(library)))
    package = Path(str(distribution(OURS).locate_file("")))
    for name, folder in BUNDLED.items():
        files = [path for path in _found(package, folder) if _is_licence(path)]
        sys.stdout.write(_section(name, (), [path.read_text(encoding="utf-8") for path in files]))


def _found(package: Path, folder: str) -> list[Path]:
    """The files of a folder of FlowEngine, installed, or in a clone."""
    places = (package / folder, Path(__file__).parents[1] / folder)
    return sorted(next(place for place in places if place.is_dir()).iterdir())


def _section(name: str, facts: Iterator[str] | tuple[str, ...], texts: list[str]) -> str:
    body = "\n\n".join(text.strip() for text in texts) or "Its package holds no text of the licence."
    return "\n".join(["", _LINE, name, *facts, _LINE, "", body, ""])


def _facts(library: Distribution) -> Iterator[str]:
    """Its licence by name, and where its source is."""
    told = library.metadata.get_all("License-Expression") or [
        item.rpartition(" :: ")[2]
        for item in library.metadata.get_all("Classifier", [])
        if item.startswith("License ::")
    ]
    said = told or [text.strip() for text in library.metadata.get_all("License", []) if "\n" not in text]
    yield f"Licence: {'; '.join(said) or 'see below'}"
    urls = {
        label.strip().lower(): url.strip()
        for label, _, url in (item.partition(",") for item in library.metadata.get_all("Project-URL", []))
    }
    home = library.metadata.get_all("Home-page", [])
    if found := [urls[label] for label in _SOURCES if label in urls] + home:
        yield f"Source: {found[0]}"


def _texts(library: Distribution) -> list[str]:
    """The texts of its licence, as its package holds them."""
    paths = [path for path in library.files or () if path.parts[0].endswith(".dist-info")]
    return [
        Path(str(library.locate_file(path))).read_text(encoding="utf-8", errors="replace")
        for path in sorted(paths, key=str)
        if _is_licence(path)
    ]


def _is_licence(path: PurePath) -> bool:
    return any(word in path.name.lower() for word in _WORDS)


if __name__ == "__main__":
    main()
