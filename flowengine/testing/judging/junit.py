"""What came of tests as JUnit XML, which CI services read."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from flowengine.plaintext import plain_text
from flowengine.testing.case_files import CaseOutcome, LoadedFile
from flowengine.testing.judging.report import lines_of


def junit(loaded: Sequence[LoadedFile], outcomes: Sequence[CaseOutcome]) -> bytes:
    """One suite a file. A file that is wrong is a suite of one test that could not run."""
    suites = ElementTree.Element("testsuites")
    for file in loaded:
        own = [outcome for outcome in outcomes if outcome.path == file.path]
        failures = sum(not outcome.passed for outcome in own)
        suite = ElementTree.SubElement(
            suites,
            "testsuite",
            name=plain_text(str(file.path)),
            tests=str(len(own) + bool(file.problems)),
            failures=str(failures),
            errors=str(int(bool(file.problems))),
            time=f"{sum(outcome.took_s for outcome in own):.3f}",
        )
        for outcome in own:
            _add(suite, outcome)
        if file.problems:
            case = ElementTree.SubElement(
                suite, "testcase", classname=plain_text(str(file.path)), name="the file is right"
            )
            text = "\n".join(plain_text(f"{each.path}: {each.problem.message}") for each in file.problems)
            ElementTree.SubElement(case, "error", message=f"{len(file.problems)} problems").text = text
    written: bytes = ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True)
    return written


def _add(suite: ElementTree.Element, outcome: CaseOutcome) -> None:
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname=plain_text(str(outcome.path)),
        name=plain_text(outcome.case.name),
        file=plain_text(str(outcome.path)),
        line=str(outcome.line),
        time=f"{outcome.took_s:.3f}",
    )
    if not outcome.passed:
        first = outcome.differences[0]
        failure = ElementTree.SubElement(case, "failure", message=plain_text(f"{first.place} is another"))
        failure.text = "\n".join(plain_text(line) for line in lines_of(outcome.differences, outcome.run))
