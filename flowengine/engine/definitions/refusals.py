"""Why a document that is right by itself cannot be applied, and what is kept of why nothing begins."""

from __future__ import annotations

from flowengine.errors import FlowEngineError
from flowengine.workflow.problems import Problem


def code_and_reason(error: Exception, most_chars: int) -> tuple[str, str]:
    """What is kept of an error, and shown: its code, and its problems or its words, so many characters."""
    code = error.code if isinstance(error, FlowEngineError) else FlowEngineError.code
    problems: tuple[Problem, ...] = getattr(error, "problems", ())
    told = "; ".join([f"{one.pointer}: {one.message}" for one in problems]) or str(error)
    return code, told[:most_chars]


class WorkflowInvalidError(FlowEngineError):
    """A document does not fit what is applied beside it. `problems` lists what is wrong."""

    code = "invalid_workflow"

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        count = len(problems)
        super().__init__(
            f"{count} problem{'s' if count != 1 else ''}: see `problems`. The first: {problems[0].message}"
        )
