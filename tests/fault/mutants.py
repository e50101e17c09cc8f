"""Breaks one rule of DESIGN sections 2 and 3 at a time, and sees whether the tests notice.

`python -m tests.fault.mutants` copies the tree, applies each mutation to the copy alone, runs the tests
that concern it, and prints a table. Only a test that failed has noticed: code that cannot be imported,
a fixture that breaks and a run that never ends prove nothing of any rule, and are told apart. Exit code
1 when a mutation went unnoticed or proved nothing, 2 when one no longer applies to the code. Names as
arguments run only the mutants whose rules contain them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec

from tests.fault.mutations import MUTANTS, Mutant

ROOT: Final = Path(__file__).parents[2]
COPIED: Final = ("flowengine", "tests", "workflows", "pyproject.toml", "README.md", "LICENSE")
TIMEOUT_S: Final = 240
SOUND_WITHIN_S: Final = 900
MACHINE_EXAMPLES: Final = "60"

Verdict: TypeAlias = Literal["noticed", "UNNOTICED", "PROVED NOTHING", "DOES NOT APPLY"]


class Tried(msgspec.Struct, frozen=True):
    """One mutant and what became of it."""

    mutant: Mutant
    verdict: Verdict
    seconds: float
    by: str = ""


class Ran(msgspec.Struct, frozen=True):
    """How a run of tests ended: the first test that failed, or else what kept them from judging."""

    failed: str | None = None
    broken: str | None = None

    @property
    def verdict(self) -> Verdict:
        """What it says of a mutation."""
        if self.failed is not None:
            return "noticed"
        return "UNNOTICED" if self.broken is None else "PROVED NOTHING"


def try_mutant(mutant: Mutant, folder: Path) -> Tried:
    """Break the copy, run the tests, restore the copy."""
    path = folder / mutant.path
    whole = path.read_text(encoding="utf-8")
    if whole.count(mutant.old) != 1:
        return Tried(mutant, "DOES NOT APPLY", 0.0)
    path.write_text(whole.replace(mutant.old, mutant.new), encoding="utf-8")
    began = time.monotonic()
    try:
        ran = run_tests(mutant.tests, folder)
    finally:
        path.write_text(whole, encoding="utf-8")
    return Tried(mutant, ran.verdict, time.monotonic() - began, ran.failed or ran.broken or "")


def run_tests(tests: tuple[str, ...], folder: Path, *, within_s: float = TIMEOUT_S) -> Ran:
    """How they end, up to the first that fails. The cheapest tests go first."""
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
            timeout=within_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Ran(broken=f"(did not end within {within_s} s)")
    return judge(done.returncode, done.stdout)


def judge(exit_code: int, printed: str) -> Ran:
    """What pytest's exit code and its short summary say."""
    if exit_code == 0:
        return Ran()
    failed, broken = (
        [line.split(" - ")[0].split("::")[-1] for line in printed.splitlines() if line.startswith(word)]
        for word in ("FAILED ", "ERROR ")
    )
    if exit_code == 1 and failed:
        return Ran(failed=failed[0])
    return Ran(broken=broken[0] if broken else f"(exit code {exit_code})")


def main(wanted: list[str]) -> int:
    """Try the mutants; returns the exit code."""
    chosen = [m for m in MUTANTS if not wanted or any(word in m.rule for word in wanted)]
    folder = Path(tempfile.mkdtemp(prefix="flowengine-mutants-"))
    try:
        for name in COPIED:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            if (ROOT / name).exists():
                copy(ROOT / name, folder / name)
        concerned = tuple(sorted({test for mutant in chosen for test in mutant.tests}))
        sound = run_tests(concerned, folder, within_s=SOUND_WITHIN_S)
        if sound.verdict != "UNNOTICED":
            sys.stdout.write(f"without any mutation, {sound.failed or sound.broken} fails already\n")
            return 2
        tried = []
        for mutant in chosen:
            tried.append(try_mutant(mutant, folder))
            one = tried[-1]
            sys.stdout.write(f"{one.verdict:14} {one.seconds:6.1f} s  {mutant.rule:64} {one.by}\n")
            sys.stdout.flush()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    found = Counter(one.verdict for one in tried)
    sys.stdout.write(
        f"mutants: {len(tried)} rules broken, {found['noticed']} noticed, {found['UNNOTICED']} unnoticed, "
        f"{found['PROVED NOTHING']} proved nothing, {found['DOES NOT APPLY']} outdated\n"
    )
    if found["DOES NOT APPLY"]:
        return 2
    return int(found["noticed"] < len(tried))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
