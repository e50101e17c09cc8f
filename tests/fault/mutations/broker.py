"""Rules of the broker: leases, deliveries, joining, hand-backs and dead letters."""

from __future__ import annotations

from typing import Final

from tests.fault.mutations.mutant import BROKER, Mutant

SIGNS: Final = (
    "tests/unit/broker/test_broker_signs_of_life.py",
    "tests/integration/broker/test_broker_signs.py",
)
JANITOR: Final = ("tests/integration/broker/test_broker_janitor.py",)


def _broker(rule: str, module: str, old: str, new: str) -> Mutant:
    return Mutant(rule, f"flowengine/broker/{module}.py", old, new, BROKER)


def _signs(rule: str, module: str, old: str, new: str) -> Mutant:
    return Mutant(rule, f"flowengine/broker/{module}.py", old, new, SIGNS)


def _janitor(rule: str, module: str, old: str, new: str) -> Mutant:
    return Mutant(rule, f"flowengine/broker/{module}.py", old, new, JANITOR)


MUTANTS: Final = (
    _broker(
        "only the engine's own transaction acknowledges its messages",
        "consumer",
        """        elif delivery.engine:
            self._end(delivery)
        elif delivery.exception is not None:
            self._bury(delivery, "raised")
""",
        """        elif delivery.exception is not None:
            self._bury(delivery, "raised")
""",
    ),
    _broker(
        "a group begins with the first message",
        "streams/consumer_group",
        'GROUP, b"0", b"MKSTREAM"',
        'GROUP, b"$", b"MKSTREAM"',
    ),
    _broker(
        "a slow message keeps no other from being fetched",
        "inline_processor",
        "while self._takes_long():",
        "while False:",
    ),
    _broker(
        "no more messages run at once than there are threads",
        "consumer",
        "if idle or self._held.stopping:",
        "if True:",
    ),
    _broker(
        "every consumer looks when a thread becomes free",
        "held_messages",
        """        if self._sleepers and any(enough() for enough in self._sleepers):
            self._changed.notify_all()
""",
        """        if self._sleepers and any(enough() for enough in self._sleepers):
            self._changed.notify()
""",
    ),
    _broker("a renewal counts no delivery", "streams/consumer_group", '0, *ids, b"JUSTID")', "0, *ids)"),
    _broker(
        "only what is pending in its own name is renewed",
        "leases/lease_keeper",
        "kept = held & owned",
        "kept = held",
    ),
    _broker(
        "only what is in memory is renewed", "leases/lease_keeper", "kept = held & owned", "kept = owned"
    ),
    _broker(
        "only what has lapsed is taken over",
        "streams/consumer_group",
        'b"XCLAIM", self.stream(queue), GROUP, self.consumer, self.lease_ms, *ids',
        'b"XCLAIM", self.stream(queue), GROUP, self.consumer, 0, *ids',
    ),
    _broker(
        "what another has taken over is left to it",
        "streams/consumer_group",
        "if entry_id in owned:",
        "if True:",
    ),
    _broker(
        "a hand-back of what never began counts no delivery",
        "leases/hand_back",
        "counts.update({entry.id: entry.deliveries - 1 for entry in delivery.unacknowledged})",
        "counts.update({entry.id: entry.deliveries for entry in delivery.unacknowledged})",
    ),
    _broker(
        "every taking over counts a delivery",
        "leases/recoverer",
        "counts = {lapsed.id: lapsed.deliveries + 1 for lapsed in chosen}",
        "counts = {lapsed.id: lapsed.deliveries for lapsed in chosen}",
    ),
    _broker(
        "one suspect at a time",
        "leases/recoverer",
        "admitted, alone = self._held.admit_suspects(self._queue)",
        "admitted, alone = 99, True",
    ),
    _broker(
        "what comes again comes alone",
        "assembler",
        "policy.may_join is not None or entry.deliveries > 1",
        "policy.may_join is not None",
    ),
    _broker(
        "a message that kills is buried with its callback",
        "set_aside/dead_letters",
        'told = _last_words(entry, starts, policies) if reason == "exhausted" else None',
        "told = None",
    ),
    _broker(
        "the orchestrator's messages are never buried by count",
        "assembler",
        "return policy is not None and policy.on_dead is not None",
        "return policy is not None",
    ),
    _broker(
        "nothing is taken over for a lease after an error",
        "consumer",
        "        self._prepared = False\n        self._recoverer.postpone()\n",
        "        self._prepared = False\n",
    ),
    _broker(
        "nothing is taken over for a lease after a read that stood still",
        "consumer",
        "if time.monotonic() - begun > expected_s + self._recoverer.standstill_s:",
        "if False:",
    ),
    _broker(
        "nothing is taken over for a lease after a scan that stood still",
        "leases/recoverer",
        "if stood_still:",
        "if False:",
    ),
    _broker(
        "nothing is taken over for a lease after a server start",
        "consumer",
        "if server.uptime_s < lease_s:",
        "if False:",
    ),
    _broker(
        "fetching stops first",
        "broker",
        "        self.held_messages.stop()\n",
        "",
    ),
    _janitor(
        "a removed consumer's messages are kept",
        "streams/consumer_group",
        'self._give_up(key, pipe.execute()[0], self.lease_ms, b"FORCE")',
        "pipe.execute()",
    ),
    # -- dead letters
    _broker(
        "a burial is one transaction",
        "set_aside/dead_letters",
        "pipe = group.client.pipeline(transaction=True)",
        "pipe = group.client.pipeline(transaction=False)",
    ),
    _broker(
        "what cannot be read is buried alone",
        "consumer",
        "isinstance(delivery.exception, UndecodablePayloadError) and len(delivery.entries) == 1:",
        "isinstance(delivery.exception, UndecodablePayloadError):",
    ),
    # -- what is put off
    _broker(
        "what nobody here understands is put off",
        "assembler",
        "if entry.payload is not None and not self._understood.covers(entry.fields):",
        "if False:",
    ),
    _broker(
        "putting off is one transaction",
        "set_aside/put_off",
        "pipe = group.client.pipeline(transaction=True)",
        "pipe = group.client.pipeline(transaction=False)",
    ),
    _broker(
        "of two processes one moves a message back",
        "set_aside/put_off",
        "pipe.watch(later)",
        'pipe.watch("another")',
    ),
    _broker(
        "a process goes on behind what it does not understand",
        "set_aside/put_off",
        'start = b"-" if after is None else b"(" + after',
        'start = b"-"',
    ),
    _broker(
        "every process looks at what was put off",
        "leases/lease_keeper",
        "            self._see_to(queue)\n",
        "            pass\n",
    ),
    # -- what is taken over, and what is handed back
    _broker(
        "own lapsed entries are renewed, not taken over",
        "leases/recoverer",
        "if self._held.is_held(self._queue, lapsed.id):",
        "if False:",
    ),
    _broker(
        "own lapsed entries are renewed at once",
        "leases/recoverer",
        "            self._group.renew(self._queue, late)\n",
        "            pass\n",
    ),
    _broker(
        "a quick task that comes again goes alone",
        "assembler",
        "policy.may_join is None or entry.deliveries > 1 or",
        "policy.may_join is None or",
    ),
    _broker(
        "what has not started within a second is handed back",
        "consumer",
        "        self._hand_back_overdue()\n        within_s",
        "        within_s",
    ),
    _broker(
        "a stop hands back what still runs",
        "consumer",
        "self._held.withdraw(self._held.all(self._queue), even_running=True)",
        "self._held.withdraw(self._ready)",
    ),
    _signs(
        "a consumer whose threads are all busy gives signs",
        "consumer",
        "        elif not self._held.stopping:\n            self._stay_seen()\n",
        "",
    ),
    _signs(
        "an idle consumer gives signs where its reads are none",
        "streams/sign_of_life",
        "if not self.reads_suffice:",
        "if False:",
    ),
    _signs(
        "a server that notes reads is sent no signs",
        "streams/sign_of_life",
        "if not self.reads_suffice:",
        "if True:",
    ),
    _janitor(
        "consumers that are gone are removed",
        "leases/janitor",
        "            gone.extend(self._silent(queue))\n",
        "",
    ),
    _janitor(
        "a process does not remove itself",
        "leases/janitor",
        "kept = (self._group.consumer, NOBODY.encode())",
        "kept = (NOBODY.encode(),)",
    ),
    _janitor(
        "a consumer that has got something since is not removed",
        "leases/janitor",
        "holders = set(self._group.holders(queue, chosen))",
        "holders: set[bytes] = set()",
    ),
    _janitor(
        "consumers are removed in bounded steps",
        "leases/janitor",
        "range(min(AT_ONCE, len(gone)))",
        "range(len(gone))",
    ),
    _janitor(
        "one process looks for consumers that are gone",
        "streams/consumer_group",
        'b"1", b"NX", b"PX", every_ms',
        'b"1", b"PX", every_ms',
    ),
    _janitor(
        "what was dropped with a consumer is found again",
        "leases/janitor",
        "if strays := self._group.adopt_strays(queue, STRAYS_AT_ONCE):",
        "if strays := list[bytes]():",
    ),
    _janitor(
        "what somebody works on is no stray",
        "streams/consumer_group",
        'if self.client.execute_command(b"XPENDING", key, GROUP, entry, entry, 1):',
        "if False:",
    ),
    _janitor(
        "a process that leaves gives up what is pending in its name",
        "streams/consumer_group",
        "            self._give_up(key, chosen, least_ms)\n",
        "            pass\n",
    ),
    _janitor(
        "a process that leaves takes nothing back",
        "streams/consumer_group",
        "half = self.lease_ms // 2",
        "half = 0",
    ),
    _janitor(
        "a look goes on where the last one stopped",
        "leases/recoverer",
        "self._looked_until = look.reached",
        "self._looked_until = None",
    ),
    _janitor(
        "a look does not walk through all that is pending",
        "streams/consumer_group",
        'GROUP, start, b"+", limit)',
        'GROUP, start, b"+", 1_000_000)',
    ),
    _broker(
        "a consumer does without the id of its connection",
        "streams/consumer_group",
        "        except redis.ResponseError:\n            return None\n",
        "        except ZeroDivisionError:\n            return None\n",
    ),
    _broker(
        "nothing is kept for later",
        "broker",
        "        if delay is not None:\n",
        "        if False:\n",
    ),
)
