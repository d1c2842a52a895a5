"""What a terminal can put on its keys, now and for as long as it may go on without the service."""

from dataclasses import dataclass, replace
from datetime import datetime

from cardservice.context import Context
from cardservice.errors import CatalogueMissing, QuoteRefused, RoleNotAllowed, ServiceOfAnother
from cardservice.services.catalogued import Catalogue, Catalogued, CataloguePeriod
from cardservice.services.seam import Refusal
from cardservice.tariffs.service import superseded_at, tariff_in_force
from cardservice.terminals.roles import may_ask
from cardservice.terminals.service import Terminal


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A service's catalogue, for one terminal."""

    service: str
    tariff_version: str
    currency: str
    action: str
    valid_until: datetime
    # None: the terminal may not serve offline.
    offline_limit_minor: int | None
    periods: tuple[CataloguePeriod, ...]


def offer(context: Context, terminal: Terminal, name: str) -> Offer:
    """What a service offers a terminal.

    Raises RoleNotAllowed, ServiceOfAnother, CatalogueMissing and QuoteRefused.
    """
    service = context.services.get(name)
    if service is None or not any(may_ask(terminal.role, service, action) for action in service.actions):
        raise RoleNotAllowed(terminal.id, terminal.role, name)
    if not isinstance(service, Catalogued):
        raise CatalogueMissing(name)
    moment = context.now()
    if not terminal.may_sell(name, moment):
        raise ServiceOfAnother(terminal.id, terminal.provider_id, name)
    with context.database.reading() as connection:
        version = tariff_in_force(connection, name, moment)
        superseded = None if version is None else superseded_at(connection, version)
    if version is None:
        raise QuoteRefused("tariff_missing", "There is no tariff for this.")
    offered = service.catalogue(context.tariffs.get(version), moment)
    if isinstance(offered, Refusal):
        raise QuoteRefused(offered.reason, offered.message, dict(offered.data))
    if superseded is not None:
        offered = _until(offered, superseded)
    return Offer(
        service=name,
        tariff_version=offered.tariff_version,
        currency=offered.currency,
        action=offered.action,
        valid_until=offered.valid_until,
        offline_limit_minor=terminal.offline_limit_minor,
        periods=offered.periods,
    )


def _until(offered: Catalogue, moment: datetime) -> Catalogue:
    """As much of a catalogue as holds before another tariff takes over, whose recipes may differ."""
    periods = tuple(
        replace(period, ends=min(period.ends, moment)) for period in offered.periods if period.begins < moment
    )
    return replace(offered, valid_until=min(offered.valid_until, moment), periods=periods)
