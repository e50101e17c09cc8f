"""Breaks one rule of DESIGN sections 2 and 3 at a time, and sees whether the tests notice.

`python -m tests.fault.mutants` copies the tree, applies each mutation to the copy alone, runs the tests
that concern it, and prints a table. Exit code 1 when a mutation went unnoticed, 2 when one no longer
applies to the code. Names as arguments run only the mutants whose rules contain them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec

from tests.fault.mutations import MUTANTS, Mutant

ROOT: Final = Path(__file__).parents[2]
COPIED: Final = ("flowengine", "tests", "pyproject.toml", "README.md", "LICENSE")
TIMEOUT_S: Final = 240
MACHINE_EXAMPLES: Final = "60"

Verdict: TypeAlias = Literal["noticed", "UNNOTICED", "DOES NOT APPLY"]


class Tried(msgspec.Struct, frozen=True):
    """One mutant and what became of it."""

    mutant: Mutant
    verdict: Verdict
    seconds: float
    by: str = ""


def try_mutant(mutant: Mutant, folder: Path) -> Tried:
    """Break the copy, run the tests, mend the copy."""
    path = folder / mutant.path
    whole = path.read_text(encoding="utf-8")
    if whole.count(mutant.old) != 1:
        return Tried(mutant, "DOES NOT APPLY", 0.0)
    path.write_text(whole.replace(mutant.old, mutant.new), encoding="utf-8")
    began = time.monotonic()
    try:
        failed = run_tests(mutant.tests, folder)
    finally:
        path.write_text(whole, encoding="utf-8")
    return Tried(mutant, "noticed" if failed else "UNNOTICED", time.monotonic() - began, failed or "")


def run_tests(tests: tuple[str, ...], folder: Path) -> str | None:
    """The name of the first test that fails, or None. The cheapest tests go first."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
        "FLOWENGINE_FAULT_EXAMPLES": MACHINE_EXAMPLES,
    }
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:randomly", "--no-header", "--tb=no"]
    command += ["--hypothesis-profile", "exploring"]
    try:
        done = subprocess.run(
            [*command, *tests],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "(did not end)"
    if done.returncode == 0:
        return None
    lines = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return lines[0].split(" - ")[0].split("::")[-1] if lines else f"(exit {done.returncode})"


def main(wanted: list[str]) -> int:
    """Try the mutants; returns the exit code."""
    chosen = [m for m in MUTANTS if not wanted or any(word in m.rule for word in wanted)]
    folder = Path(tempfile.mkdtemp(prefix="flowengine-mutants-"))
    try:
        for name in COPIED:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            if (ROOT / name).exists():
                copy(ROOT / name, folder / name)
        sound = run_tests(tuple(sorted({test for mutant in chosen for test in mutant.tests})), folder)
        if sound is not None:
            sys.stdout.write(f"without any mutation, {sound} fails already\n")
            return 2
        tried = []
        for mutant in chosen:
            tried.append(try_mutant(mutant, folder))
            one = tried[-1]
            sys.stdout.write(f"{one.verdict:14} {one.seconds:6.1f} s  {mutant.rule:64} {one.by}\n")
            sys.stdout.flush()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    unnoticed = sum(one.verdict == "UNNOTICED" for one in tried)
    outdated = sum(one.verdict == "DOES NOT APPLY" for one in tried)
    noticed = len(tried) - unnoticed - outdated
    sys.stdout.write(
        f"mutants: {len(tried)} rules broken, {noticed} noticed, {unnoticed} unnoticed, {outdated} outdated\n"
    )
    return 2 if outdated else int(bool(unnoticed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
