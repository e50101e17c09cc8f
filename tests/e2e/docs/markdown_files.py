"""README and the reference as tests read them: their commands, examples, tables and links."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from tests.support.rigs.stack_processes import FLOWENGINE, ROOT

REFERENCE: Final = ROOT / "flowengine" / "reference"

_FENCED: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE: Final = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK: Final = re.compile(r"\[[^]\[]+\]\(([^)\s]+)\)")
_HEADING: Final = re.compile(r"^#+ (.+)$", re.MULTILINE)
_NOT_IN_ANCHORS: Final = re.compile(r"[^\w\- ]")


class MarkdownFile:
    """One file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.stem
        self.text = path.read_text(encoding="utf-8")

    @cached_property
    def prose(self) -> str:
        """All that is in no block."""
        return _FENCED.sub("", self.text)

    @cached_property
    def languages(self) -> set[str]:
        """The languages of its blocks; "" of one that names none."""
        return {language for language, _ in _FENCED.findall(self.text)}

    def blocks(self, language: str) -> list[str]:
        """The blocks in one language, in order."""
        return [text for found, text in _FENCED.findall(self.text) if found == language]

    @cached_property
    def commands(self) -> list[str]:
        """Every command that a block shows, without its prompt and comment."""
        joined = "".join(self.blocks("console")).replace("\\\n", " ")
        found = [line[2:].split("  #")[0].strip() for line in joined.splitlines() if line.startswith("$ ")]
        return [re.sub(r" {2,}", " ", command) for command in found]

    @cached_property
    def answers(self) -> list[Any]:
        """The JSON answers that blocks of commands show."""
        lines = "".join(self.blocks("console")).splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    @cached_property
    def inline(self) -> list[str]:
        """Everything in the text between backquotes."""
        return [code.replace("\\|", "|") for code in _INLINE.findall(self.prose)]

    @cached_property
    def links(self) -> list[str]:
        """Where its links lead."""
        return _LINK.findall(_INLINE.sub("", self.prose))

    @cached_property
    def anchors(self) -> set[str]:
        """The names of its headings, as GitHub makes them."""
        headings = _HEADING.findall(self.prose)
        return {_NOT_IN_ANCHORS.sub("", heading.lower()).replace(" ", "-") for heading in headings}

    def marked(self, mark: str) -> str:
        """What stands between `<!-- mark -->` and `<!-- /mark -->`."""
        (found,) = re.findall(rf"<!-- {mark} -->\n(.*?)<!-- /{mark} -->", self.text, re.DOTALL)
        return str(found)

    def rows(self, mark: str) -> list[list[str]]:
        """The cells of the table rows there, headers left out."""
        lines = [line for line in self.marked(mark).splitlines() if line.startswith("|")]
        rules = [place for place, line in enumerate(lines) if set(line) <= set("|-: ")]
        headers = {place - 1 for place in rules}
        return [_cells(line) for place, line in enumerate(lines) if place not in headers | set(rules)]


def _cells(line: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def code_of(cells: Iterable[str]) -> list[str]:
    """The codes of some cells, without their backquotes."""
    return [code for cell in cells for code in _INLINE.findall(cell)]


def agrees(shown: object, real: object) -> bool:
    """Whether an answer is as it is shown: `"..."` stands for anything, `"1a20..."` for any text."""
    if isinstance(shown, dict):
        return (
            isinstance(real, dict)
            and shown.keys() == real.keys()
            and all(agrees(value, real[name]) for name, value in shown.items())
        )
    if isinstance(shown, list):
        return (
            isinstance(real, list)
            and len(shown) == len(real)
            and all(agrees(*pair) for pair in zip(shown, real, strict=True))
        )
    if isinstance(shown, str) and shown.endswith("..."):
        return shown == "..." or isinstance(real, str)
    return shown == real


def installed(command: str) -> str:
    """The command with the program of this environment in place of `flowengine`."""
    return re.sub(r"\bflowengine ", f"{FLOWENGINE} ", command.removeprefix("uv run "), count=1)


README: Final = MarkdownFile(ROOT / "README.md")
TOPICS: Final = {path.stem: MarkdownFile(path) for path in sorted(REFERENCE.glob("*.md"))}
ALL: Final = (README, *TOPICS.values())
