"""What differs between two versions of a definition, a line each."""

from __future__ import annotations

from flowengine.workflow.definitions.comparison import Difference


def difference_line(found: Difference) -> str:
    """One difference, as a person reads it."""
    if found.kind == "moved":
        return "~ the order of fields differs" if found.field is None else f"~ {found.field} in another order"
    node = f"node {found.node}" if found.node is not None else ""
    what = " ".join(part for part in (node, found.field) if part)
    if found.kind == "changed":
        return f"~ {what}: {found.before} -> {found.after}"
    sign, value = ("+", found.after or "") if found.kind == "added" else ("-", found.before or "")
    shown = value if found.field is not None else "({})".format(value.strip('"'))
    return f"{sign} {what} {shown}"
