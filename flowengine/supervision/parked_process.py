"""A copy of this process that waits until it is told to become a service, or not to.

A service's libraries take longer to import than all the rest of its start. A copy has them already. It is
made before anything is opened or any thread runs, so it shares nothing with this process but memory, and it
ends when this process does. Standard library only (see `supervision.supervisor`).
"""

from __future__ import annotations

import atexit
import contextlib
import io
import json
import os
import signal
import socket
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import BinaryIO, NoReturn, TextIO

CAN_PARK = sys.platform == "linux"
"""Elsewhere system libraries may have threads of their own, which a copy does not have."""

_CRASHED = 70


class ParkedProcess:
    """A copy that runs `main` once `start` is called; its exit code is what `main` returns.

    Its standard input is a socket that this process holds open (see `supervision.child_shutdown`), its
    outputs are one pipe. From `start` on it can be used like a subprocess.Popen.
    """

    def __init__(self, main: Callable[[], int]) -> None:
        """Raises OSError if the system makes no copy now."""
        sys.stdout.flush()
        sys.stderr.flush()
        self.lifeline, theirs = socket.socketpair()
        input_end = theirs.detach()
        output, output_end = os.pipe()
        self.returncode: int | None = None
        self.is_waiting = True
        self.pid = os.fork()
        if not self.pid:
            _become(main, input_end, output_end)
        os.close(input_end)
        os.close(output_end)
        self.stdout: BinaryIO = io.FileIO(output, "rb")

    def start(self, environment: Mapping[str, str] | None) -> None:
        """Let it run, with `environment` as the whole of its environment (None: this process's).

        Raises OSError if it has died.
        """
        self.is_waiting = False
        message = json.dumps(dict(os.environ if environment is None else environment))
        self.lifeline.sendall(message.encode("utf-8", "surrogateescape") + b"\n")

    def dismiss(self) -> None:
        """End it, if it still waits."""
        if self.is_waiting:
            self.is_waiting = False
            self.kill()
            self.lifeline.close()
            self.stdout.close()
            self.wait()

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._wait(os.WNOHANG)

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once there is one. Waits for ever, whatever `timeout` is."""
        code = self._wait(0)
        assert code is not None
        return code

    def terminate(self) -> None:
        """Ask it to end."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self._send(signal.SIGKILL)

    def _send(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def _wait(self, options: int) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, options)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


def _become(main: Callable[[], int], input_end: int, output_end: int) -> NoReturn:
    """Wait for the environment and run `main`. Never returns: the frames below are the other process's."""
    code = _CRASHED
    try:
        os.setpgid(0, 0)
        _forget_signals()
        for number, descriptor in enumerate((input_end, output_end, output_end)):
            os.dup2(descriptor, number)
        _close_all_others()
        environment = _read_environment()
        if environment is None:
            os._exit(0)
        os.environ.clear()
        os.environ.update(environment)
        sys.stdout, sys.stderr = _text_output(1), _text_output(2)
        code = main()
        atexit._run_exitfuncs()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else _CRASHED
    finally:
        if sys.exc_info()[0] is not None:
            import traceback

            traceback.print_exc()
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _text_output(descriptor: int) -> TextIO:
    return open(descriptor, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)


def _forget_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)


def _close_all_others() -> None:
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            with contextlib.suppress(OSError):  # the one that listed them is closed already
                os.close(int(name))


def _read_environment() -> dict[str, str] | None:
    """What `start` has sent; None if it will send nothing."""
    received = b""
    while not received.endswith(b"\n"):
        data = os.read(0, 65536)
        if not data:
            return None
        received += data
    environment: dict[str, str] = json.loads(received.decode("utf-8", "surrogateescape"))
    return environment
