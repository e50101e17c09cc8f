"""The page's scripts keep to the types that they name."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.support.rigs.stack_processes import ROOT


def test_scripts_pass_the_type_checker() -> None:
    """`tsc` has nothing to say, with everything strict."""
    checker = shutil.which("tsc")
    if checker is None:
        pytest.skip("there is no tsc: install Debian's package node-typescript")
    argv = [checker, "--project", str(ROOT / "flowengine/ui/tsconfig.json"), "--pretty", "false"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=110)
    assert (done.stdout, done.returncode) == ("", 0)
