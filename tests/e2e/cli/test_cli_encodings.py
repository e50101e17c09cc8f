"""The tool on terminals and in pipes whose encoding lacks characters: it spells them out, and never fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ARROW = """name: "\u2192 \U0001f600"
nodes:
  - {id: a, handler: transform, config: {input: "x \u2192 \U0001f600 \u00e4", transform_type: trim}}
"""
ENCODINGS = [
    pytest.param({"PYTHONIOENCODING": "cp1252"}, id="cp1252"),
    pytest.param({"PYTHONIOENCODING": "ascii"}, id="ascii"),
    pytest.param({"PYTHONIOENCODING": "ascii:strict"}, id="strict"),
    pytest.param({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, id="C"),
]


def flowengine(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[bytes]:
    """The command in that folder; its output as bytes."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("FLOWENGINE_", "REDIS"))
    }
    return subprocess.run(
        [sys.executable, "-P", "-m", "flowengine", *arguments],
        cwd=folder,
        env={**kept, **settings},
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a workflow that says what few encodings can show, and a handler that prints it."""
    (tmp_path / "arrow.yaml").write_text(ARROW, encoding="utf-8")
    (tmp_path / "bad.yaml").write_text("name: x\nnodes:\n  - {id: \u2192}\n", encoding="utf-8")
    (tmp_path / "printing.py").write_text(
        "import msgspec\nfrom flowengine.plugin import Context, handler\n\n"
        "class Nothing(msgspec.Struct):\n    pass\n\n"
        "@handler('print_it')\ndef print_it(config: Nothing, context: Context) -> dict[str, str]:\n"
        "    print('said \\u2192')\n    return {'result': '\\u2192'}\n",
        encoding="utf-8",
    )
    (tmp_path / "print.yaml").write_text("name: x\nnodes: [{id: a, handler: print_it}]\n")
    return tmp_path


@pytest.mark.parametrize("settings", ENCODINGS)
def test_result_that_cannot_be_shown_is_spelled_out(folder: Path, settings: dict[str, str]) -> None:
    """Exit code 0, and no word of a defect. JSON stays JSON of the same value."""
    plain = flowengine(folder, "run", "arrow.yaml", **settings)
    assert plain.returncode == 0, plain.stderr
    assert b"\\u2192 \\ud83d\\ude00" in plain.stdout
    told = flowengine(folder, "run", "--json", "arrow.yaml", **settings)
    assert told.returncode == 0, told.stderr
    encoding = "cp1252" if "cp1252" in settings.values() else "ascii"
    assert json.loads(told.stdout.decode(encoding))["results"] == {
        "a": {"result": "x \u2192 \U0001f600 \u00e4"}
    }


@pytest.mark.parametrize("settings", ENCODINGS[:2])
def test_other_commands_do_not_fail_either(folder: Path, settings: dict[str, str]) -> None:
    """Problems quote the document; the reference and the list of handlers have signs of their own."""
    refused = flowengine(folder, "validate", "bad.yaml", **settings)
    assert (refused.returncode, b"\\u2192" in refused.stdout) == (2, True)
    for arguments in (("help", "templates"), ("help", "speed"), ("handlers",), ("schema",)):
        assert flowengine(folder, *arguments, **settings).returncode == 0


def test_handler_that_prints_does_not_fail(folder: Path) -> None:
    """What it prints goes through a pipe, in UTF-8; the terminal's encoding is not its business."""
    settings = {"FLOWENGINE_HANDLERS": "printing", "PYTHONIOENCODING": "cp1252"}
    ran = flowengine(folder, "run", "print.yaml", **settings)
    assert ran.returncode == 0, ran.stderr
    assert b"said \\u2192" in ran.stderr
