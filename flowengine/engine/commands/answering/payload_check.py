"""Whether what a node waits for is of the shape that it asks for."""

from __future__ import annotations

from flowengine.errors import FlowEngineError
from flowengine.jsonvalue import decode
from flowengine.workflow.problems import Problem


class PayloadInvalidError(FlowEngineError):
    """What was sent does not match the schema of the node that waits for it. `problems` lists each place."""

    code = "payload_invalid"

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        count = len(problems)
        text = f"{count} problem{'s' if count != 1 else ''}: see `problems`. The first: {problems[0].message}"
        super().__init__(text)
        self.problems = problems


def check_payload(schema: str | None, payload: bytes, pointer: str = "") -> None:
    """Raises PayloadInvalidError. `pointer`: where the payload stands in what was sent."""
    if schema is None:
        return
    # Imported where there is a schema: few nodes have one.
    from flowengine.workflow.inputs.json_schema import misfits

    found = misfits(schema.encode(), decode(payload), len(payload))
    if found:
        raise PayloadInvalidError(
            tuple(
                Problem(code="payload_invalid", pointer=pointer + misfit.pointer, message=misfit.message)
                for misfit in found
            )
        )
