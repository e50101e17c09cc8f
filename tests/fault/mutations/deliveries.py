"""Rules of deliveries: when results are sent, when again, and when no more."""

from __future__ import annotations

from typing import Final

from tests.fault.mutations.mutant import Mutant

DELIVERIES: Final = (
    "tests/unit/deliveries/test_delivery_rules.py",
    "tests/integration/deliveries/test_engine_deliveries.py",
)


def _in(rule: str, path: str, old: str, new: str) -> Mutant:
    return Mutant(rule, f"flowengine/{path}.py", old, new, DELIVERIES)


MUTANTS: Final = (
    _in(
        "the end of an execution with a callback_url sends its results",
        "execution/rules/concluding",
        " *(deliver(run, now) if control.notifies else ()),",
        "",
    ),
    _in(
        "one that is cancelled before its first trigger is delivered too",
        "execution/rules/stopping",
        "delivered = deliver(run, stop.at) if record.notifies else ()",
        "delivered: tuple[Change, ...] = ()",
    ),
    _in(
        "410 is the end",
        "execution/delivery/rules",
        "if attempt.status_code == _GONE:",
        "if attempt.status_code == 0:",
    ),
    _in(
        "only 2xx is taken for delivered",
        "execution/delivery/rules",
        "200 <= attempt.status_code < 300",
        "200 <= attempt.status_code < 400",
    ),
    _in(
        "it is given up after a day",
        "execution/delivery/rules",
        "if until > delivery.since + TRIED_FOR_MS:",
        "if until < delivery.since:",
    ),
    _in(
        "a day is counted from the end of the run",
        "execution/delivery/rules",
        "if until > delivery.since + TRIED_FOR_MS:",
        "if until > now + TRIED_FOR_MS:",
    ),
    _in(
        "what belongs to another attempt is stale",
        "execution/delivery/rules",
        'delivery.state == "pending" and delivery.number == number',
        'delivery.state == "pending"',
    ),
    _in(
        "nothing is sent of a delivery that is over",
        "execution/delivery/rules",
        'delivery.state == "pending" and delivery.number == number',
        "delivery.number == number",
    ),
    _in(
        "a receiver may ask for a longer pause",
        "execution/delivery/rules",
        "return max(pause, min(asked_ms or 0, LONGEST_ASKED_MS))",
        "return pause",
    ),
    _in(
        "what a receiver asks for is bounded",
        "execution/delivery/rules",
        "min(asked_ms or 0, LONGEST_ASKED_MS)",
        "(asked_ms or 0)",
    ),
    _in(
        "a run that another one follows is not delivered any more",
        "execution/delivery/rules",
        "return control.run != delivery.run or not is_over(control.status)",
        "return False",
    ),
    _in(
        "the run is looked at again after its results were read",
        "engine/delivering/sender",
        "return None if after is None or is_overtaken(after.control, delivery) else body",
        "return body",
    ),
    _in(
        "a process makes few calls at a time",
        "engine/delivering/sender",
        "if not self._free.acquire(blocking=False):",
        "if not self._free.acquire(blocking=False) and False:",
    ),
    _in(
        "the sweep finds what is lost",
        "engine/delivering/lost_deliveries",
        "            self._store.arm_deliveries(lost, now)\n",
        "",
    ),
    _in(
        "the sweep leaves alone what waits for its timer",
        "engine/delivering/lost_deliveries",
        " and not each.is_armed]",
        "]",
    ),
    _in(
        "the sweep leaves alone what waits in a queue",
        "engine/delivering/lost_deliveries",
        "return oldest is None or oldest > since + self._clock_margin_ms",
        "return True",
    ),
    _in(
        "the sweep looks for a report once the message has left the workers' queue",
        "engine/delivering/lost_deliveries",
        "            if self._has_left(oldest[ORCHESTRATOR_QUEUE], since)\n",
        "",
    ),
    _in(
        "the sweep drops what belongs to an execution that is gone",
        "engine/delivering/lost_deliveries",
        "            self._store.forget_deliveries(over)\n",
        "            pass\n",
    ),
    _in(
        "deliveries expire with their execution",
        "store/committing/encode_changes",
        "            names += self._keys.sent(execution)\n        later",
        "            pass\n        later",
    ),
    _in(
        "deliveries stay while their execution runs again",
        "store/committing/encode_changes",
        "            names += self._keys.sent(execution)\n        self.commands",
        "            pass\n        self.commands",
    ),
)
