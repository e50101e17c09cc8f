"""Rules of what is told of executions: events, lines of nodes, and how long they are kept."""

from __future__ import annotations

from typing import Final

from tests.fault.mutations.mutant import Mutant

EVENTS: Final = ("tests/integration/engine/test_engine_history.py",)
LINES: Final = ("tests/integration/engine/test_engine_lines.py",)
LIVE: Final = ("tests/integration/engine/test_engine_live.py",)
READER: Final = ("tests/unit/api/test_live_reader.py",)
OUTPUTS: Final = ("tests/unit/engine/test_outputs.py",)
NODE_OUTPUT: Final = ("tests/unit/project/test_node_output.py",)
WRITER: Final = "flowengine/store/history/output_writer.py"

MUTANTS: Final = (
    Mutant(
        "a page begins behind its cursor",
        "flowengine/engine/history.py",
        "                if place <= after:\n",
        "                if place < after:\n",
        tests=EVENTS,
    ),
    Mutant(
        "a page that ends inside an entry leads on from there",
        "flowengine/engine/history.py",
        "return found, found[-1][0]",
        "return found, place._replace(offset=LAST)",
        tests=EVENTS,
    ),
    Mutant(
        "lines are written with the report",
        "flowengine/store/worker_state.py",
        "        commands += chain.from_iterable(written)\n",
        "        written = []\n        said = []\n",
        tests=LINES,
    ),
    Mutant(
        "lines have a life from their first moment on",
        WRITER,
        '                ("EXPIRE", lines, life, "NX"),\n',
        "",
        tests=LINES,
    ),
    Mutant(
        "lines that come late expire with their execution",
        WRITER,
        "                if expires_at != -1:\n",
        "                if False:\n",
        tests=LINES,
    ),
    Mutant(
        "the oldest lines of a node are dropped",
        WRITER,
        "int(mine[0]) > NODE_BYTES",
        "False",
        tests=LINES,
    ),
    Mutant(
        "the oldest lines of an execution are dropped",
        WRITER,
        "int(mine[1]) > EXECUTION_BYTES",
        "False",
        tests=LINES,
    ),
    Mutant(
        "what was dropped counts no more",
        WRITER,
        "            counts[keys.LOGGED_BYTES] -= sum(map(len, encoded))\n",
        "",
        tests=LINES,
    ),
    Mutant(
        "what may be the beginning of a secret waits",
        "flowengine/engine/running/outputs.py",
        "        if ended == self._secrets.redact(tail) + CUT:\n",
        "        if True:\n",
        tests=OUTPUTS,
    ),
    Mutant(
        "what could not be written is written the next time",
        "flowengine/engine/running/outputs.py",
        "                self._store.say(said)\n            self.is_said(mine)\n",
        "                self.is_said(mine)\n                self._store.say(said)\n",
        tests=OUTPUTS,
    ),
    Mutant(
        "nothing is kept of a node after its end",
        "flowengine/observability/node_output.py",
        "            if self._closed:\n                return\n            self._lines.append(line)\n",
        "            self._lines.append(line)\n",
        tests=NODE_OUTPUT,
    ),
    Mutant(
        "what is as young as the clock is held back",
        "flowengine/execution/history/live.py",
        "min([*ends, end_of(now - 1)])",
        "min([*ends, end_of(now)])",
        tests=LIVE,
    ),
    Mutant(
        "nothing is told of a stream beyond what was read of another",
        "flowengine/execution/history/live.py",
        "                if message.place > end:\n",
        "                if message.place > end_of(now - 1):\n",
        tests=LIVE,
    ),
    Mutant(
        "what was told is not told again",
        "flowengine/execution/history/live.py",
        "                elif message.place > after:\n",
        "                else:\n",
        tests=LIVE,
    ),
    Mutant(
        "a stream ends when all is told",
        "flowengine/store/history/live_reads.py",
        "ended=over and not told.more and not told.held",
        "ended=over",
        tests=LIVE,
    ),
    Mutant(
        "a watcher joins where the common reader is not ahead",
        "flowengine/api/watching/live_reader.py",
        "        elif channel.after > watcher.after:\n            return False\n",
        "",
        tests=READER,
    ),
    Mutant(
        "a watcher that is behind is given nothing",
        "flowengine/api/watching/live_reader.py",
        "        if self._size > MOST_WAITING_BYTES:\n",
        "        if False:\n",
        tests=READER,
    ),
    Mutant(
        "a watcher that was behind goes on from its place",
        "flowengine/api/watching/live_reader.py",
        "                watcher.after = told[-1].place\n",
        "                pass\n",
        tests=READER,
    ),
    Mutant(
        "a cancel is told once",
        "flowengine/store/committing/encode_changes.py",
        'if status == "cancelling" and not stop.told:',
        'if status == "cancelling":',
        tests=LIVE,
    ),
)
