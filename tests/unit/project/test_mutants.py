"""What counts as noticing a broken rule, and that every mutation still fits the code."""

from __future__ import annotations

import pytest

from tests.fault.mutants import ROOT, Verdict, judge
from tests.fault.mutations import MUTANTS

FAILED = "FAILED tests/a.py::test_a - AssertionError: 1\n"
ERROR = "ERROR tests/b.py::test_b - ImportError: cannot import name\n"
ENDINGS: dict[str, tuple[int, str, Verdict, str | None]] = {
    "all passed": (0, "9 passed\n", "UNNOTICED", None),
    "a test failed": (1, FAILED, "noticed", "test_a"),
    "a test failed, a fixture broke": (1, ERROR + FAILED, "noticed", "test_a"),
    "a fixture broke": (1, ERROR, "PROVED NOTHING", "test_b"),
    "nothing could be collected": (2, "ERROR tests/b.py\n", "PROVED NOTHING", "ERROR tests/b.py"),
    "interrupted after a failure": (2, FAILED, "PROVED NOTHING", "(exit code 2)"),
    "no such test": (4, "no tests ran\n", "PROVED NOTHING", "(exit code 4)"),
    "killed": (-9, "", "PROVED NOTHING", "(exit code -9)"),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_only_a_test_that_failed_has_noticed_a_broken_rule(ending: str) -> None:
    """Code that cannot be imported proves nothing, nor does a run that breaks or never ends."""
    exit_code, printed, verdict, by = ENDINGS[ending]
    ran = judge(exit_code, printed)
    assert (ran.verdict, ran.failed or ran.broken) == (verdict, by)


def test_every_mutation_fits_the_code() -> None:
    """What it replaces occurs once in its file, and its tests exist."""
    outdated = [m.rule for m in MUTANTS if (ROOT / m.path).read_text(encoding="utf-8").count(m.old) != 1]
    assert not outdated
    assert not {test for m in MUTANTS for test in m.tests if not (ROOT / test.split("::")[0]).exists()}
    assert len({m.rule for m in MUTANTS}) == len(MUTANTS)
