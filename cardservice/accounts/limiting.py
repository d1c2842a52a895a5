"""What a cardholder may use, as whoever pays wants it: limits set and lifted, services off and on."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection

from cardservice.audit.service import record
from cardservice.errors import OrderInvalid, ServiceUnknown
from cardservice.ids import CardholderId, PayerId
from cardservice.ledger.limits import NewLimit, set_limit, switch_service
from cardservice.ledger.payers import payer_at
from cardservice.services.limits import LIFTED, day_rule
from cardservice.services.seam import Counted, Service

Services = Mapping[str, Service]
# Ours: of things that are counted by the piece.
MOST_PIECES = 9999


def limit_rules(services: Services) -> dict[str, str]:
    """What can be limited: the services' own, and of one that has none what is spent with it in a day."""
    found: dict[str, str] = {}
    for name, service in sorted(services.items()):
        found |= service.limits
        found.setdefault(day_rule(name), f"what is spent on {name} in a day")
    return found


def listed_rule(services: Services, rule: str) -> str:
    """The rule as it is listed, such as `meals.item.*`. Raises OrderInvalid."""
    rules = limit_rules(services)
    for listed in rules:
        prefix = listed.removesuffix("*")
        if rule == listed or (prefix != listed and len(rule) > len(prefix) and rule.startswith(prefix)):
            return listed
    raise OrderInvalid(f"{rule[:60]!r} cannot be limited; there are {', '.join(rules)}")


def is_counted(services: Services, listed: str) -> bool:
    """Whether a rule counts pieces, and not minor units."""
    counting = (service for service in services.values() if isinstance(service, Counted))
    return any(listed in service.counted_limits for service in counting)


def limit_holder(
    connection: Connection,
    services: Services,
    holder: CardholderId,
    rule: str,
    most: int | None,
    *,
    shared: bool,
    actor: str,
    moment: datetime,
) -> PayerId:
    """Set a limit from now on, or lift it (None), for one or for all whom their payer pays for; that payer.

    In pieces or minor units; 0 allows nothing. Raises OrderInvalid.
    """
    listed = listed_rule(services, rule)
    if most is not None and not 0 <= most <= (MOST_PIECES if is_counted(services, listed) else most):
        raise OrderInvalid(f"{most} is no limit: nothing is 0, and pieces are {MOST_PIECES} at most")
    payer = payer_at(connection, holder, moment)
    if payer is None:
        raise OrderInvalid(f"nobody pays for {holder}; assign a payer first")
    amount = LIFTED if most is None else most
    set_limit(connection, NewLimit(payer, None if shared else holder, rule, amount), moment, moment)
    did = "limit.lift" if most is None else "limit.set"
    record(connection, actor, did, holder, moment, rule=rule, shared=shared)
    return payer


def switch(
    connection: Connection,
    services: Services,
    holder: CardholderId,
    service: str,
    *,
    on: bool,
    actor: str,
    moment: datetime,
) -> None:
    """Switch a service off or on for a cardholder, from now on. Raises ServiceUnknown and PayerUnknown."""
    if service not in services:
        raise ServiceUnknown(service)
    switch_service(connection, holder, service, on=on, moment=moment)
    record(connection, actor, f"service.{'on' if on else 'off'}", holder, moment, service=service)
