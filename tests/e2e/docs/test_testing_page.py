"""The page on testing: its workflow, its tests and its commands, as they are written."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.e2e.docs.conftest import Shell
from tests.e2e.docs.markdown_files import TOPICS


def written(folder: Path) -> tuple[str, str]:
    """The page's workflow and its tests, as files."""
    workflow, tests = TOPICS["testing"].blocks("yaml")[:2]
    (folder / "nightly.yaml").write_text(workflow)
    (folder / yaml.safe_load(tests)["workflow"].replace(".yaml", ".test.yaml")).write_text(tests)
    return workflow, tests


def test_tests_of_the_page_pass(tmp_path: Path, shell: Shell) -> None:
    """And fail once the workflow is another."""
    workflow, _ = written(tmp_path)
    command = TOPICS["testing"].commands[0]
    done = shell(command, folder=tmp_path)
    assert (done.returncode, done.stderr.partition(",")[0]) == (0, "2 passed"), done.stdout
    (tmp_path / "nightly.yaml").write_text(workflow.replace("'gt', 50", "'ge', 50"))
    done = shell(command, folder=tmp_path)
    assert (done.returncode, done.stderr.partition(",")[0]) == (1, "1 passed"), done.stdout
