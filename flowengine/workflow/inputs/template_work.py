"""Templates in defaults of inputs and in vars, read within a bound of work for the document."""

from __future__ import annotations

from typing import Final

from flowengine.template import Analysis, TemplateError, analyse
from flowengine.template.compiling import simple_analysis
from flowengine.template.expression_length import exceeding
from flowengine.workflow.checking.problem_report import Report
from flowengine.workflow.checking.templates.template_cost import cost_of

MAX_WORK: Final = 300_000
"""In the units of `cost_of`; nodes have more of them."""


class TemplateWork:
    """Reads templates until the work is used up. Whatever is wrong with one is reported."""

    def __init__(self, report: Report, max_template_chars: int) -> None:
        self._report = report
        self._max_chars = max_template_chars
        self._left = MAX_WORK

    def analysed(self, pointer: str, text: str) -> Analysis | None:
        """What the template reads; None for a wrong one, and for all once the work is used up."""
        if self._left < 0:
            return None
        length = exceeding(text, self._max_chars)
        if length is not None:
            self._left -= len(text)
            message = (
                f"one {{{{ ... }}}} has at most {self._max_chars} characters "
                f"(FLOWENGINE_MAX_TEMPLATE_CHARS), this one has {length}; text around it does not count"
            )
            self._report.add("template_too_long", pointer, message)
            return None
        simple = simple_analysis(text)
        self._left -= cost_of(text, simple=simple is not None)
        if self._left < 0:
            message = (
                "the templates of `inputs`, `vars`, `concurrency`, `schedules` and `after` take too much "
                "work: move some into nodes"
            )
            self._report.add("too_many_templates", pointer, message)
            return None
        try:
            return simple or analyse(text)
        except TemplateError as error:
            self._report.add(error.code, pointer, error.message)
            return None
