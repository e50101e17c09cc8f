"""What messages show of what people wrote, and how problems beyond a number are told of."""

from __future__ import annotations

import re

import pytest

from flowengine.workflow.checking.problem_report import MAX_PROBLEMS, Report
from flowengine.workflow.problems import escaped, quoted


def full() -> Report:
    """A report that takes no more problems."""
    report = Report()
    for _ in range(MAX_PROBLEMS):
        report.add("code", "", "message")
    return report


@pytest.mark.parametrize(
    "char", ["\x00", "\x07", "\x1b", "\x7f", "\x80", "\x9b", "\n", "\u2028", "\u202e", "\u2066", "\u2069"]
)
def test_characters_that_command_a_terminal_are_escaped(char: str) -> None:
    """A message is printed, logged and shown in browsers: what it quotes must not act there."""
    for shown in (quoted(f"a{char}b"), escaped(f"a{char}b")):
        assert shown.isprintable()
        assert re.fullmatch(r"'?a\\\w+b'?", shown)


def test_letters_and_signs_are_shown_as_they_are() -> None:
    """Escaping is for what cannot be seen."""
    assert escaped("a b-é\U0001f600") == "a b-é\U0001f600"


def test_long_texts_are_cut() -> None:
    """However much was sent, a message shows the beginning."""
    assert quoted("a" * 10_000) == repr("a" * 60 + "...")
    assert escaped("a" * 10_000) == "a" * 60 + "..."


def test_what_is_left_out_is_counted() -> None:
    """The last problem says how many more there are."""
    report = full()
    report.add("code", "", "one more")
    report.leave_out(2)
    assert report.problems()[-1].message == "and 3 more: fix these first"


def test_a_count_that_is_cut_short_says_so() -> None:
    """What was not looked at may be wrong or right."""
    report = full()
    report.leave_out(0, at_least=True)
    assert report.problems()[-1].message == "and perhaps more: fix these first"
    report.leave_out(3)
    assert report.problems()[-1].message == "and at least 3 more: fix these first"


def test_the_nearest_name_is_proposed_until_comparing_has_cost_too_much() -> None:
    """Long names cost more than short ones."""
    long, short = Report(), Report()
    names = [f"{place:04}" + "x" * 60 for place in range(100)]
    assert long.nearest("0007" + "x" * 60, names) == names[7]
    found = [long.nearest("0007" + "x" * 60, names) for _ in range(10)]
    assert found[-1] is None
    assert all(short.nearest("fech", ["fetch", "load"]) == "fetch" for _ in range(100))
