"""Rules of a pause: what it keeps from beginning, and what is looked at when it is over."""

from __future__ import annotations

from typing import Final

from tests.fault.mutations.mutant import Mutant

PAUSING: Final = ("tests/integration/engine/test_engine_pausing.py",)


def _in(rule: str, path: str, old: str, new: str) -> Mutant:
    return Mutant(rule, f"flowengine/{path}.py", old, new, PAUSING)


MUTANTS: Final = (
    _in(
        "nothing is dispatched while an execution is paused",
        "execution/status",
        'return status == "running"\n',
        'return status in ("running", "paused")\n',
    ),
    _in(
        "what needs no task is decided while an execution is paused",
        "execution/status",
        'return status in ("running", "paused")\n',
        'return status == "running"\n',
    ),
    _in(
        "a pause that comes again changes nothing",
        "execution/rules/steering/pausing",
        '    if control.status == "paused":\n        return ()\n',
        "",
    ),
    _in(
        "a resume of what runs changes nothing",
        "execution/rules/steering/pausing",
        '    if control.status != "paused":\n        return ()\n',
        "",
    ),
    _in(
        "what is being stopped is not paused",
        "execution/rules/steering/pausing",
        'return control.status in ("running", "paused") and control.stop is None',
        'return control.status in ("running", "paused", "cancelling")',
    ),
    _in(
        "a resume lets an orchestrator look at all nodes",
        "execution/rules/steering/pausing",
        "Send(ResumeExecution(execution=run.execution, run=run.run, correlation_id",
        "Send(ResumeExecution(execution=run.execution, run=run.run + 1, correlation_id",
    ),
    _in(
        "a try that was due during a pause comes after it",
        "execution/rules/steering/pausing",
        "if has_timer(record)]",
        "if not has_timer(record)]",
    ),
    _in(
        "a resume speaks of its own run",
        "engine/advancing/steps/resume_step",
        "record.run == message.run and record.control.lets_dispatch",
        "record.control.lets_dispatch",
    ),
    _in(
        "the start is told once, though it comes after a pause",
        "engine/advancing/steps/resume_step",
        'record.stage == "main" and not touched',
        "True",
    ),
)
