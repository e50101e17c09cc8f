"""A document that is to be applied under its name: read, checked as one that is posted, and named. Pure."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

import msgspec

from flowengine.jsonvalue import JsonValue, encode
from flowengine.plugin import Registry
from flowengine.settings import Limits
from flowengine.workflow.posting.posted_document import JSON, YAML, PostedDocument
from flowengine.workflow.problems import Problem, quoted
from flowengine.workflow.validation import Checked, Form, check_document, read_text

RESERVED_NAMES: Final = frozenset({".", "..", "diff"})
"""They would be something else in the path of a request."""
_PARTS_A_PATH: Final = "/"
_DIGEST_BYTES: Final = 16


class AppliedDocument(msgspec.Struct, frozen=True):
    """What was read, or what is wrong with it.

    `document`: its text. `name`: its own. `value`: the digest of a right one's value, the same for all texts
    that say the same. `written`: the value itself; None where it could not be read.
    """

    checked: Checked
    name: str = ""
    description: str = ""
    document: PostedDocument | None = None
    value: str = ""
    written: JsonValue = None


def check_applied(
    body: bytes, form: Form, registry: Registry, limits: Limits, *, name: str | None = None
) -> AppliedDocument:
    """Read and check a document that is applied. `name`: under which it is; None: under its own."""
    text = read_text(body, form, limits)
    if isinstance(text, Problem):
        return AppliedDocument(Checked(None, (text,), malformed=True))
    found = check_value(text.value, registry, limits, name=name)
    if found.checked.malformed:
        return found
    taken = PostedDocument(body, JSON if form == "json" else YAML)
    return msgspec.structs.replace(found, checked=text.placed(found.checked), document=taken)


def check_value(
    document: JsonValue, registry: Registry, limits: Limits, *, name: str | None = None
) -> AppliedDocument:
    """The same of a document that is a value already: its problems have no lines, and it has no text."""
    checked = check_document(document, registry, limits)
    if checked.malformed:
        return AppliedDocument(checked)
    own = document.get("name") if isinstance(document, dict) else None
    if not isinstance(own, str):
        return AppliedDocument(checked, written=document)
    wrong = wrong_with_name(own, name)
    if wrong is not None:
        problem = Problem(code="invalid_name", pointer="/name", message=wrong)
        checked = msgspec.structs.replace(checked, plan=None, problems=(problem, *checked.problems))
    value = "" if checked.plan is None else value_digest(document)
    return AppliedDocument(checked, own, _description(document), value=value, written=document)


def wrong_with_name(own: str, name: str | None) -> str | None:
    """Why a document of this name cannot be applied (under `name`), or None."""
    if own in RESERVED_NAMES or _PARTS_A_PATH in own:
        return (
            f"a document called {quoted(own)} cannot be applied: a definition's name has no "
            f"'{_PARTS_A_PATH}' and is none of {', '.join(sorted(RESERVED_NAMES))}"
        )
    if name is not None and own != name:
        return f"the document is called {quoted(own)}, and is applied as {quoted(name)}: use one name"
    return None


def value_digest(value: JsonValue) -> str:
    """The same for all texts that say the same in the same order, in YAML or in JSON.

    Of two texts that differ in the order of their fields, each is a version: a body that a node sends keeps
    it.
    """
    return blake2b(encode(value), digest_size=_DIGEST_BYTES).hexdigest()


def _description(document: JsonValue) -> str:
    found = document.get("description") if isinstance(document, dict) else None
    return found if isinstance(found, str) else ""
