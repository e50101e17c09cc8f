"""Every file in workflows/ has tests beside it, and they pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowengine.cli.workflow_files import find_case_files
from flowengine.settings import Settings
from flowengine.testing.case_files import load, run_loaded
from tests.support.documents import EXAMPLES, catalog


@pytest.mark.parametrize("workflow", EXAMPLES, ids=lambda path: path.name)
def test_tests_of_an_example_pass(workflow: Path) -> None:
    """Without a server, without a network."""
    (path,) = find_case_files([workflow], lambda link: None)
    loaded = load(path, catalog(), Settings())
    assert not loaded.problems
    assert loaded.workflow == workflow
    outcomes = list(run_loaded(loaded, catalog(), Settings(), {}))
    assert outcomes
    assert [(outcome.case.name, outcome.differences) for outcome in outcomes if not outcome.passed] == []
