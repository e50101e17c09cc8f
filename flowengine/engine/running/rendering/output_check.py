"""Whether what a node gave is what its `output_schema` says."""

from __future__ import annotations

from typing import Final

from flowengine.execution.error_codes import OUTPUT_INVALID
from flowengine.jsonvalue import decode
from flowengine.plugin import HandlerError
from flowengine.template import primary_value
from flowengine.workflow.inputs.json_schema import Misfit, misfits

SHOWN_MISFITS: Final = 3


def refuse_misfits(schema: bytes, output: bytes, primary: str | None) -> None:
    """Raises HandlerError `output_invalid` if the primary value of the output does not match the schema.

    `output` is what is stored, secrets already taken out. The message names places, and quotes no value.
    """
    found = misfits(schema, primary_value(decode(output), primary), len(output))
    if found:
        more = len(found) - SHOWN_MISFITS
        told = "; ".join(map(_told, found[:SHOWN_MISFITS])) + (f"; and {more} more" if more > 0 else "")
        raise HandlerError(OUTPUT_INVALID.code, f"the output does not match output_schema: {told}")


def _told(misfit: Misfit) -> str:
    return f"{misfit.pointer}: {misfit.message}" if misfit.pointer else misfit.message
