"""A copy of a process that waits to become a service: it shares nothing but memory, and outlives nobody."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

import pytest

from flowengine.supervision.parked_process import CAN_PARK

pytestmark = pytest.mark.skipif(not CAN_PARK, reason="there are no copies on this system")

BEGIN = "import os, sys\nfrom flowengine.supervision.parked_process import ParkedProcess\n"


def program(script: str) -> subprocess.CompletedProcess[str]:
    """A process of its own that parks copies: a copy of pytest would be a strange thing."""
    return subprocess.run(
        [sys.executable, "-c", BEGIN + dedent(script)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_copy_runs_with_the_environment_that_it_is_given() -> None:
    """Nothing of the other's environment; output through a pipe in UTF-8; its result is the exit code."""
    ran = program("""
        def main():
            print(sorted(os.environ.items()), "\u2192", sys.stdin.read())
            print("told", file=sys.stderr)
            return 7
        os.environ["SECRET"] = "x"
        parked = ParkedProcess(main)
        assert parked.poll() is None and parked.is_waiting
        parked.start({"A": "1\\n2", "B": chr(0xDCFF)})
        parked.lifeline.close()
        code = parked.wait()
        sys.stdout.buffer.write(parked.stdout.read())
        sys.exit(code)
    """)
    assert ran.returncode == 7, ran.stderr
    assert ran.stdout == "[('A', '1\\n2'), ('B', '\\udcff')] \u2192 \ntold\n"


def test_copy_has_no_open_file_of_the_other() -> None:
    """Neither pipes of other copies nor anything else, so that an end of file is one."""
    ran = program("""
        kept = open(os.devnull)
        one = ParkedProcess(lambda: 0)
        two = ParkedProcess(lambda: len(os.listdir("/proc/self/fd")))
        two.start({})
        print(two.wait())  # 0, 1, 2, and the one that lists
        one.dismiss()
    """)
    assert ran.stdout == "4\n", ran.stderr


@pytest.mark.proves("run-killed-while-parked")
def test_copy_that_is_dismissed_or_forgotten_ends_without_running() -> None:
    """Also when the other is gone."""
    ran = program("""
        def main():
            os.write(1, b"ran")
            return 0
        dismissed, forgotten = ParkedProcess(main), ParkedProcess(main)
        dismissed.dismiss()
        assert dismissed.returncode == -9 and not dismissed.is_waiting
        forgotten.lifeline.close()
        print(forgotten.wait(), forgotten.stdout.read())
    """)
    assert ran.stdout == "0 b''\n", ran.stderr


@pytest.mark.parametrize(
    ("body", "code"), [("raise SystemExit(3)", 3), ("1 / 0", 70), ("os.kill(os.getpid(), 15)", -15)]
)
def test_copy_ends_by_itself_however_main_ends(body: str, code: int) -> None:
    """It never returns into the code of the other; signals have their default meaning again."""
    ran = program(f"""
        import signal
        signal.signal(signal.SIGTERM, lambda *_: None)
        def main():
            {body}
        parked = ParkedProcess(main)
        parked.start(None)
        print(parked.wait())
    """)
    assert ran.stdout == f"{code}\n", ran.stderr
