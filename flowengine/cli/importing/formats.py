"""Which formats there are, and how each is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from flowengine.cli.importing import argo, conductor, dagu, github_actions, kestra
from flowengine.cli.importing.foreign_text import UnreadableError, documents
from flowengine.cli.importing.translated import Translated
from flowengine.jsonvalue import JsonValue

_Document = Mapping[str, JsonValue]


class Format(NamedTuple):
    """One of the formats: its name for people, whether a document is of it, and how it is translated."""

    title: str
    knows: Callable[[_Document], bool]
    translate: Callable[[_Document], Translated]


FORMATS: Final[Mapping[str, Format]] = {
    "argo": Format("Argo Workflows", argo.is_argo, argo.translate),
    "conductor": Format("Conductor", conductor.is_conductor, conductor.translate),
    "kestra": Format("Kestra", kestra.is_kestra, kestra.translate),
    "github": Format("GitHub Actions", github_actions.is_github_actions, github_actions.translate),
    "dagu": Format("Dagu", dagu.is_dagu, dagu.translate),
}


def translate(body: bytes, name: str | None) -> tuple[Format, Translated]:
    """The first document of the text that is of a known format, translated. `name`: of this one.

    Raises UnreadableError.
    """
    found = [each for each in documents(body) if isinstance(each, dict)]
    for document in found:
        for key, each in FORMATS.items():
            if key == name or (name is None and each.knows(document)):
                made = each.translate(document)
                if not made.nodes:
                    raise UnreadableError(f"as a workflow of {each.title} it has no steps")
                return each, made
    titles = ", ".join(each.title for each in FORMATS.values())
    raise UnreadableError(f"this looks like none of {titles}; say which it is with --from")
