"""How a step of a delivery becomes Redis commands. Decides nothing."""

from __future__ import annotations

from flowengine.execution.changes import WriteDelivery
from flowengine.execution.delivery.records import KEPT_DELIVERIES
from flowengine.store import keys
from flowengine.store.codec import encode_delivery
from flowengine.store.connection.packing import Command


def delivery_commands(names: keys.Keys, execution: str, change: WriteDelivery) -> list[Command]:
    """Store the delivery; while it is not over, it is among those that the sweep looks at."""
    delivery, key = change.delivery, names.deliveries(execution)
    commands: list[Command] = [("HSET", key, keys.run_field(delivery.run), encode_delivery(delivery))]
    oldest = delivery.run - KEPT_DELIVERIES
    if oldest >= 0:
        commands.append(("HDEL", key, keys.run_field(oldest)))
    member = keys.delivering_member(execution, delivery.run)
    if delivery.state == "pending":
        moved = change.at if delivery.until is None else delivery.until
        commands.append(("ZADD", names.delivering, moved, member))
    else:
        commands.append(("ZREM", names.delivering, member))
    return commands
