"""Rules of connections: how commands are packed, what is sent, and how replies are read."""

from __future__ import annotations

from typing import Final

from tests.fault.mutations.mutant import Mutant

PACKING: Final = ("tests/unit/store/test_packing.py",)
LEAN: Final = ("tests/unit/store/test_lean_connection.py",)
CONNECTION: Final = ("tests/integration/store/test_store_connection.py",)


def _packing(rule: str, old: str, new: str) -> Mutant:
    return Mutant(rule, "flowengine/store/connection/packing.py", old, new, PACKING)


def _sockets(rule: str, old: str, new: str, tests: tuple[str, ...] = LEAN) -> Mutant:
    return Mutant(rule, "flowengine/store/connection/sockets.py", old, new, tests)


MUTANTS: Final = (
    # -- packing
    _packing(
        "what is packed is not packed again",
        "command if isinstance(command, bytes) else of_words(command)",
        "of_words(command)",
    ),
    _packing(
        "what was not packed is read as it is",
        "    if not isinstance(command, bytes):\n        return command\n",
        "",
    ),
    _packing(
        "a key is as long as its bytes",
        "_join((before, _SIZES[len(given)], given, after))",
        "_join((before, _SIZES[len(key)], given, after))",
    ),
    _packing(
        "a key beside a value is as long as its bytes",
        "_SIZES[len(given)], given, between,",
        "_SIZES[len(key)], given, between,",
    ),
    _packing(
        "a key that expires is as long as its bytes",
        "_SIZES[len(given)], given, after)) for given in",
        "_SIZES[len(given.decode())], given, after)) for given in",
    ),
    _packing("a word of any size is packed", 'return b"$%d\\r\\n" % size\n', 'return b"$%d\\r\\n" % 512\n'),
    _packing(
        "words between gaps are as long as their bytes",
        'pieces[-1] += b"%b%b\\r\\n" % (_SIZES[len(given)], given)',
        'pieces[-1] += b"%b%b\\r\\n" % (_SIZES[len(str(word))], given)',
    ),
    # -- sending
    _sockets("what is not connected connects", "if sock is None or (check_health", "if (check_health"),
    _sockets(
        "an idle connection is checked",
        "(check_health and time.monotonic() > self.next_health_check)",
        "False",
    ),
    _sockets(
        "a connection that was used is not checked",
        "        self.next_health_check = int(time.monotonic()) + self.health_check_interval\n",
        "",
    ),
    _sockets("nothing follows what was sent in part", "            connection.disconnect()\n", ""),
    _sockets(
        "what cannot be sent is a lost connection",
        "            if isinstance(error, OSError):\n",
        "            if False:\n",
    ),
    _sockets(
        "what interrupts a send closes the connection",
        "        except BaseException as error:\n",
        "        except OSError as error:\n",
    ),
    _sockets(
        "a name of several words is taken apart",
        'if type(args[0]) is bytes and b" " not in args[0]:',
        "if type(args[0]) is bytes:",
    ),
    # -- reading
    _sockets(
        "nothing is read of what was closed", "        if parser._reader is None:\n", "        if False:\n"
    ),
    _sockets(
        "a reply that comes in pieces is read to its end",
        "            while reply is incomplete:\n",
        "            while False:\n",
    ),
    _sockets(
        "a lost connection among replies is raised",
        "                    raise reply\n",
        "                    pass\n",
    ),
    _sockets(
        "what was read before is parsed first",
        "        if parser._reader.has_data():\n",
        "        if False:\n",
    ),
    _sockets(
        "only the usual replies are told by their bytes",
        "is_usual = parser._buffer.startswith(usual, 0, size)",
        "is_usual = size >= len(usual)",
    ),
    _sockets(
        "bytes of before are not read again",
        "parser._buffer.startswith(usual, 0, size)",
        "parser._buffer.startswith(usual)",
    ),
    _sockets(
        "what follows the usual replies is parsed",
        "            parser._reader.feed(parser._buffer, start, size - start)\n",
        "            pass\n",
    ),
    _sockets(
        "an error is no plain reply",
        "frozenset((bytes, int, list, type(None)))",
        "frozenset((bytes, int, list, type(None), redis.ResponseError))",
        CONNECTION,
    ),
    _sockets(
        "what is received in vain ends in time",
        "    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)\n",
        "",
    ),
    _sockets(
        "what is sent in vain ends in time",
        "    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval)\n",
        "",
    ),
)
