"""What is printed in the place of logged: whole lines, without secrets."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from flowengine.bootstrap import hide_secrets
from flowengine.observability import redact_prints, set_redactor
from flowengine.observability.printed_text import PrintedText
from flowengine.settings import Settings
from tests.support.rigs.stack_processes import clean_environment

SECRET = "canary-8f14e45f"


@pytest.fixture
def shown() -> io.StringIO:
    """What the terminal shows."""
    return io.StringIO()


@pytest.fixture
def printed(shown: io.StringIO) -> PrintedText:
    """A stream that hides the secret."""
    return PrintedText(shown, lambda text: text.replace(SECRET, "***"))


def test_a_line_is_shown_at_once_without_the_secret(printed: PrintedText, shown: io.StringIO) -> None:
    """All that print() writes for it."""
    print("token", SECRET, 1, file=printed)
    assert shown.getvalue() == "token *** 1\n"


def test_a_secret_in_two_pieces_is_hidden(printed: PrintedText, shown: io.StringIO) -> None:
    """A piece is kept until its line ends, also when it is flushed."""
    printed.write(SECRET[:5])
    printed.flush()
    assert shown.getvalue() == ""
    printed.write(SECRET[5:] + "!\nnext")
    assert shown.getvalue() == "***!\n"
    printed.write_rest()
    assert shown.getvalue() == "***!\nnext"


def test_a_secret_of_several_lines_is_hidden_as_a_whole(shown: io.StringIO) -> None:
    """What is written together is searched together."""
    printed = PrintedText(shown, lambda text: text.replace("one\ntwo", "***"))
    printed.write("a\none\ntwo\nb\n")
    assert shown.getvalue() == "a\n***\nb\n"


def test_a_line_without_end_is_shown_in_pieces(printed: PrintedText, shown: io.StringIO) -> None:
    """Memory is bounded, and a secret at the border of two pieces is hidden as well."""
    for _ in range(3):
        printed.write("x" * 131_070 + SECRET)
    assert 200_000 < len(shown.getvalue()) < 400_000
    printed.write_rest()
    assert shown.getvalue() == ("x" * 131_070 + "***") * 3


def test_threads_do_not_cut_each_others_lines(printed: PrintedText, shown: io.StringIO) -> None:
    """print() writes a line in pieces."""
    barrier = threading.Barrier(8)

    def chat() -> None:
        barrier.wait()
        for _ in range(50):
            print(SECRET[:6], SECRET[6:], sep="", file=printed)

    threads = [threading.Thread(target=chat) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shown.getvalue() == "***\n" * 400


def test_bytes_are_refused_as_a_text_stream_does(printed: PrintedText) -> None:
    """With the same error."""
    with pytest.raises(TypeError, match="must be str"):
        printed.write(b"bytes")  # type: ignore[arg-type]  # that is the point


@pytest.fixture
def saved_streams() -> Iterator[None]:
    """The streams of this process come back, and so does the redactor."""
    streams = sys.stdout, sys.stderr
    yield
    sys.stdout, sys.stderr = streams
    set_redactor(None)


@pytest.mark.usefixtures("saved_streams")
def test_a_process_hides_its_secrets_in_what_it_prints(capfd: pytest.CaptureFixture[str]) -> None:
    """Those too that it learns of later; what else the streams can do stays."""
    redact_prints()
    hide_secrets(Settings(), {"FLOWENGINE_SECRET_A": SECRET})
    for stream in (sys.stdout, sys.stderr):
        print(f"it is {SECRET}", file=stream)
        stream.flush()
        assert stream.encoding.lower() == "utf-8"
        assert stream.writable()
        assert not stream.isatty()
    found = capfd.readouterr()
    assert (found.out, found.err) == ("it is ***\n", "it is ***\n")


def test_a_copy_of_the_process_can_print_though_another_thread_held_the_stream() -> None:
    """A thread that was printing is not there any more; what it had begun is the parent's."""
    script = (
        "import os, sys\n"
        "from flowengine.observability import redact_prints\n"
        "redact_prints()\n"
        "print('begun', end='')\n"
        "sys.stdout._lock.acquire()\n"
        "pid = os.fork()\n"
        "if not pid:\n"
        "    print('copy', flush=True)\n"
        "    os._exit(0)\n"
        "os.waitpid(pid, 0)\n"
        "sys.stdout._lock.release()\n"
        "print(' and ended')\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
        env=clean_environment(),
    )
    assert found.stdout == "copy\nbegun and ended\n"
