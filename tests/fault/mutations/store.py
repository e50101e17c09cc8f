"""Rules of the store: what is one transaction, what is WATCHed, what expires."""

from __future__ import annotations

from typing import Final

from tests.fault.mutations.mutant import ADMISSION, ENGINE, WORKER, Mutant

EXECUTIONS: Final = ("tests/unit/engine/test_executions.py",)
TRANSACTION: Final = ("tests/unit/store/test_transaction.py",)
WORKER_STATE: Final = ("tests/unit/store/test_worker_state.py",)
TIMERS: Final = ("tests/unit/store/test_timer_store.py",)
FACTS: Final = ("tests/unit/store/test_server_facts.py",)
SERVERS: Final = ("tests/integration/store/test_server_checks.py",)
ODD_KEYS: Final = ("tests/integration/engine/test_engine_odd_keys.py",)
BACKLOG: Final = ("tests/integration/store/test_queue_backlog.py",)
CONNECTION: Final = ("tests/integration/store/test_store_connection.py",)
LIFETIMES: Final = ("tests/integration/store/test_store_lifetimes.py",)


def _in(module: str) -> str:
    return f"flowengine/store/{module}.py"


MUTANTS: Final = (
    Mutant(
        "an execution whose events cannot be read keeps no other from the sweep",
        _in("maintenance/sweep_reads"),
        "                if isinstance(entries, redis.ResponseError):\n",
        "                if False:\n",
        ODD_KEYS,
    ),
    Mutant(
        "a mark that nobody can read does not stop the sweep",
        _in("maintenance/sweep_reads"),
        "        except (TypeError, ValueError):\n",
        "        except ZeroDivisionError:\n",
        ODD_KEYS,
    ),
    Mutant(
        "an index that is none does not stop the sweep",
        _in("maintenance/expired_entries"),
        "                self._pass_over(key, reply)\n",
        "                raise reply\n",
        ODD_KEYS,
    ),
    Mutant(
        "what a live process works on is no backlog",
        _in("operations/queue_backlog"),
        "row[1] not in serving or int(row[2]) >= state.lease_ms",
        "True",
        BACKLOG,
    ),
    Mutant(
        "what was handed back is backlog",
        _in("operations/queue_backlog"),
        "row[1] not in serving or int(row[2]) >= state.lease_ms",
        "row[1] not in serving",
        BACKLOG,
    ),
    Mutant(
        "what a dead process holds is backlog",
        _in("operations/queue_backlog"),
        "row[1] not in serving or int(row[2]) >= state.lease_ms",
        "int(row[2]) >= state.lease_ms",
        BACKLOG,
    ),
    Mutant(
        "what waits is read from behind the last delivered",
        _in("operations/queue_backlog"),
        '("XRANGE", key, b"(" + last, "+"',
        '("XRANGE", key, b"-", "+"',
        BACKLOG,
    ),
    Mutant(
        "a consumer that is silent for some seconds serves nobody",
        _in("operations/queue_backlog"),
        "SILENT_MS: Final = 4_000",
        "SILENT_MS: Final = 12_000",
        BACKLOG,
    ),
    Mutant(
        "what processes have left behind is held by no process",
        _in("task_states"),
        ' and row[b"name"] != NOBODY.encode()',
        "",
        BACKLOG,
    ),
    Mutant(
        "messages that nobody understands are named",
        _in("health"),
        "if put_off := self._put_off(milliseconds(time)):",
        'if put_off := "":',
        BACKLOG,
    ),
    Mutant(
        "every key of an ended execution expires",
        _in("committing/encode_changes"),
        "            names += [self._keys.node(execution, node.id) for node in plan.nodes]\n",
        "            names += []\n",
    ),
    Mutant(
        "control expires before the rest",
        _in("committing/encode_changes"),
        "later = at + CONTROL_LEAD_S",
        "later = at",
    ),
    Mutant(
        "an execution never triggered expires",
        _in("committing/encode_changes"),
        '            ("EXPIREAT", control, gone),\n',
        "",
    ),
    Mutant(
        "a trigger WATCHes the execution",
        _in("api_state"),
        "replies = self._session.transact(commands, self._epoch)",
        "replies = self._session.write(commands)",
    ),
    Mutant(
        "a retry takes the expiry off nodes",
        _in("committing/encode_changes"),
        "            names += [self._keys.node(execution, node) for node in change.touched]\n",
        "",
    ),
    Mutant(
        "a trigger takes the expiry off the execution",
        _in("committing/encode_changes"),
        "            names += [*self._keys.own(execution), *self._keys.said(execution)]\n",
        "            names += []\n",
    ),
    Mutant(
        "a first trigger takes the expiry off the plan",
        _in("committing/encode_changes"),
        "            names += [self._keys.plan(execution), self._keys.document(execution)]\n",
        "            names += [self._keys.document(execution)]\n",
    ),
    Mutant(
        "a first trigger takes the expiry off the inputs that were there",
        "flowengine/engine/commands/trigger.py",
        "        had_inputs = unit.inputs is not None\n",
        "        had_inputs = False\n",
        tests=LIFETIMES,
    ),
    Mutant(
        "a trigger clears what workers began before",
        _in("committing/encode_changes"),
        "stale = [self._keys.deps(execution), *starts]",
        "stale = [self._keys.deps(execution)]",
        tests=EXECUTIONS,
    ),
    Mutant(
        "a trigger clears the counters of before",
        _in("committing/encode_changes"),
        "stale = [self._keys.deps(execution), *starts]",
        "stale = [*starts]",
        tests=EXECUTIONS,
    ),
    Mutant(
        "a lost answer of a trigger is told from another's",
        "flowengine/engine/commands/trigger.py",
        "if record is None or record.token != token:",
        "if True:",
    ),
    Mutant(
        "a decision WATCHes control",
        _in("committing/transaction"),
        "        watched.append(control)\n",
        "",
        tests=(*TRANSACTION, *ENGINE),
    ),
    Mutant(
        "nothing is written of an execution whose control was not WATCHed",
        _in("committing/transaction"),
        "            if not all(isinstance(change, _NEED_NO_CONTROL) for change in changes[execution]):\n",
        "            if False:\n",
        tests=TRANSACTION,
    ),
    Mutant(
        "no node is written that was not WATCHed",
        _in("committing/transaction"),
        "for execution, node in written - self._watched:",
        "for execution, node in ():",
        tests=TRANSACTION,
    ),
    Mutant(
        "what is read later is WATCHed",
        _in("connection/sessions"),
        'self._exchange([("WATCH", *names), *reads], check_health=False)',
        'self._exchange([("TIME",), *reads], check_health=False)',
        tests=(*TRANSACTION, *ENGINE),
    ),
    Mutant(
        "who arms a timer tells the timer loop",
        _in("committing/transaction"),
        "            self._armed(encoder.armed)\n",
        "            pass\n",
        tests=TRANSACTION,
    ),
    Mutant(
        "nodes are WATCHed",
        _in("connection/sessions"),
        'head.append(("WATCH", *names))',
        'head.append(("TIME",))',
    ),
    Mutant(
        "what is read ahead is WATCHed",
        _in("connection/sessions"),
        'return [("WATCH", *ahead.names), *ahead.reads]',
        'return [("TIME",), *ahead.reads]',
    ),
    Mutant(
        "what may be out of date is read anew by who might do nothing",
        _in("state"),
        "if commits and not exact_time and not self.clock.is_old:",
        "if not exact_time and not self.clock.is_old:",
    ),
    Mutant(
        "only what was asked for is given from what was read ahead",
        _in("connection/sessions"),
        "if not current or ahead.reading.asked != asked:",
        "if not current:",
    ),
    Mutant(
        "nothing is written on a connection that lost its WATCH",
        _in("connection/sessions"),
        "if epoch != self.epoch or (watched and not self._connection.is_connected):",
        "if False:",
    ),
    Mutant(
        "what another unit left WATCHed refuses no write",
        _in("connection/sessions"),
        "        if self._watching:\n            self.unwatch()\n        replies = self.transact",
        "        replies = self.transact",
    ),
    Mutant(
        "a start arms the deadline",
        _in("worker_state"),
        '("ZADD", self._keys.deadlines, due, _member(task)),',
        '("ZSCORE", self._keys.deadlines, _member(task)),',
    ),
    Mutant(
        "a start's event makes no stream",
        _in("worker_state"),
        '"NOMKSTREAM", "MAXLEN", ',
        '"MAXLEN", ',
        tests=WORKER_STATE,
    ),
    Mutant(
        "a timer leaves in the transaction that sends its message",
        _in("maintenance/timer_store"),
        "self._state.sessions.here().write(commands)",
        "self._state.sessions.here().call(commands)",
    ),
    Mutant(
        "an unreadable timer holds up no other",
        _in("keys"),
        "            return timer(execution=execution, run=run, node=node, dispatch=dispatch, item=item)\n"
        "        except ValueError:\n"
        "            return None\n",
        "            return timer(execution=execution, run=run, node=node, dispatch=dispatch, item=item)\n"
        "        except ValueError:\n"
        "            raise\n",
        tests=TIMERS,
    ),
    Mutant(
        "an unreadable timer is set aside alone",
        _in("maintenance/timer_store"),
        '                commands.append(("ZADD", names.odd_timers, now, member))\n',
        "",
        tests=TIMERS,
    ),
    Mutant(
        "a kind that is held waits",
        _in("maintenance/timer_store"),
        "kinds = [kind for kind in PARSERS if kind not in holding]",
        "kinds = list(PARSERS)",
        tests=TIMERS,
    ),
    # -- limits
    Mutant(
        "what a node reads has a limit",
        _in("worker_state"),
        "if size > self._state.max_read_bytes:",
        "if False:",
        tests=WORKER,
    ),
    Mutant(
        "new work is refused well before the memory is full",
        _in("admission"),
        "(max(1, int(most * ratio)), f",
        "(most, f",
        tests=ADMISSION,
    ),
    Mutant(
        "executions that wait have a limit",
        _in("admission"),
        "if waiting >= most:",
        "if False:",
        tests=ADMISSION,
    ),
    Mutant(
        "executions are counted before each one where their limit is near",
        _in("admission"),
        "UNCOUNTED if waiting + FAR < most else 0",
        "UNCOUNTED",
        tests=ADMISSION,
    ),
    Mutant(
        "so many come in at most without a count",
        _in("admission"),
        "            self._uncounted[statuses] -= 1\n",
        "",
        tests=ADMISSION,
    ),
    Mutant(
        "executions are counted again after a while",
        _in("admission"),
        "now - self._counted_at[statuses] >= self._counted_for_s",
        "False",
        tests=ADMISSION,
    ),
    Mutant(
        "a look at the memory counts what was stored after it was asked for",
        _in("admission"),
        "self._seen = seen",
        "self._seen = self._stored",
        tests=ADMISSION,
    ),
    # -- the server
    Mutant(
        "a cluster is refused",
        _in("server_checks/server_facts"),
        "= (_mode, _role, _policy, _version)",
        "= (_role, _policy, _version)",
        tests=FACTS,
    ),
    Mutant(
        "a replica is refused",
        _in("server_checks/server_facts"),
        "= (_mode, _role, _policy, _version)",
        "= (_mode, _policy, _version)",
        tests=FACTS,
    ),
    Mutant(
        "a server that may evict keys is refused",
        _in("server_checks/server_facts"),
        "= (_mode, _role, _policy, _version)",
        "= (_mode, _role, _version)",
        tests=FACTS,
    ),
    Mutant(
        "a server that is too old is refused",
        _in("server_checks/server_facts"),
        "= (_mode, _role, _policy, _version)",
        "= (_mode, _role, _policy)",
        tests=FACTS,
    ),
    Mutant(
        "a missing append-only file is warned of",
        _in("server_checks/server_facts"),
        'return [NO_APPEND_ONLY_FILE] if facts.append_only == "0" else []',
        "return []",
        tests=FACTS,
    ),
    Mutant(
        "rights are asked for at the start",
        _in("server_checks/start_check"),
        "            troubles += refused_commands(probe, services, queues)\n",
        "            pass\n",
        tests=SERVERS,
    ),
    Mutant(
        "what is asked for at the start is not done",
        _in("connection/probe"),
        '(opened,) = self.ask(("MULTI",))',
        '(opened,) = self.ask(("PING",))',
        tests=SERVERS,
    ),
    Mutant(
        "a start waits for a fail-over",
        _in("server_checks/start_check"),
        "if isinstance(error, UnfitServerError) and (late or not error.may_pass):",
        "if isinstance(error, UnfitServerError):",
        tests=SERVERS,
    ),
    Mutant(
        "the API checks a server that comes late",
        "flowengine/bootstrap.py",
        'check=StartCheck(state, "api")',
        "check=None",
        tests=SERVERS,
    ),
    Mutant(
        "a server that becomes unfit shows in /health",
        _in("health"),
        "        troubles = troubles_of(facts)\n",
        "        troubles = troubles_of(facts_of({}))\n",
        tests=SERVERS,
    ),
    Mutant(
        "a unit under way keeps its connection",
        _in("connection/sessions"),
        "            )\n            self._local.demotions = self._demotions\n",
        "            )\n            self._local.demotions = self._demotions\n"
        "        if self._local.demotions != self._demotions:\n            session.discard()\n",
        tests=CONNECTION,
    ),
    Mutant(
        "a thread that only reads leaves a replica",
        _in("connection/sessions"),
        "        if self._local.demotions != self._demotions:\n",
        "        if False:\n",
        tests=CONNECTION,
    ),
)
