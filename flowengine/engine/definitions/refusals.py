"""Why a document that is right by itself cannot be applied."""

from __future__ import annotations

from flowengine.errors import FlowEngineError
from flowengine.workflow.problems import Problem


class WorkflowInvalidError(FlowEngineError):
    """A document does not fit what is applied beside it. `problems` lists what is wrong."""

    code = "invalid_workflow"

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        count = len(problems)
        super().__init__(
            f"{count} problem{'s' if count != 1 else ''}: see `problems`. The first: {problems[0].message}"
        )
