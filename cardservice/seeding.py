"""An example town in a new service, to try commands and the API out on: nobody in it is real.

All of it is one database transaction. It is asked for in development alone, where nobody is registered yet.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import Connection, exists, select

from cardservice.audit.service import record
from cardservice.cardholders.models import cardholder
from cardservice.cardholders.service import NewCardholder, add_cardholder
from cardservice.cards.personalisation import order_card
from cardservice.config import Mode
from cardservice.context import Context
from cardservice.errors import OrderInvalid
from cardservice.ids import CardholderId, PayerId, ProviderId, TransactionId, new_id
from cardservice.ledger.payers import assign_payer, create_payer
from cardservice.ledger.reading import read_on
from cardservice.ledger.values import ReadQuery, scheme_clearing
from cardservice.money import exponent, format_minor
from cardservice.payments.money import pay_in
from cardservice.payments.references import post_payment
from cardservice.payments.service import payment_posting
from cardservice.providers.service import add_provider
from cardservice.tariffs.drafts import approve, draft_tariff

PROVIDERS = {"example-leisure": "Example Leisure Centre", "example-buses": "Example Buses"}
SERVICE = "leisure"
MOST_PEOPLE = 1000
_FIRST = ("Ada", "Ben", "Cleo", "Dan", "Edie", "Femi", "Gwen", "Hari", "Ines", "Jack")
_LAST = ("Ashby", "Brook", "Carter", "Dale", "Ellis", "Finch", "Grove")
# In whole units of the currency: what is paid in for each, and what a visit costs them.
_PAID_IN, _PRICES = 20, {"standard": 6, "resident": 4, "concession": 3}


@dataclass(frozen=True, slots=True)
class Seeded:
    """What was made."""

    providers: tuple[str, ...]
    # By the cardholder's identifier: the name, and who pays
    people: Mapping[CardholderId, tuple[str, PayerId]]
    # Of the orders that wait at the issuing desk
    orders: tuple[str, ...]
    tariff: str
    paid_in_minor: int


def seed(context: Context, people: int, *, actor: str) -> Seeded:
    """Make the example. Every third person is a child, for whom the one before them pays, as a family.

    Raises OrderInvalid in production, and where somebody is registered: nothing is done then.
    """
    if context.settings.mode is not Mode.DEVELOPMENT:
        raise OrderInvalid("people of an example are nobody's cardholders: seed is for development alone")
    moment = context.now()
    with context.database.begin() as connection:
        if connection.scalar(select(exists().where(cardholder.c.id.is_not(None)))):
            raise OrderInvalid(
                "somebody is registered already: seed is for a new service; init another database"
            )
        for provider, name in PROVIDERS.items():
            add_provider(connection, ProviderId(provider), name, actor=actor, moment=moment)
        version = _tariff(context, connection, moment, actor)
        made = _people(context, connection, people, moment, actor)
        orders = tuple(
            str(_order(connection, holder, number, moment, actor)) for number, holder in enumerate(made)
        )
        paid_in_minor = sum(
            _pay_in(context, connection, payer)
            for payer in dict.fromkeys(payer for _, payer in made.values())
        )
        record(connection, actor, "service.seed", context.scheme.id, moment, people=str(people))
    return Seeded(tuple(PROVIDERS), made, orders, version, paid_in_minor)


def _tariff(context: Context, connection: Connection, moment: datetime, actor: str) -> str:
    """Prices of a leisure centre, for this year and the next."""
    currency = context.scheme.currency
    prices = {group: format_minor(_minor(price, currency), currency) for group, price in _PRICES.items()}
    sheet = {
        "timezone": context.scheme.timezone,
        "currency": currency,
        "first_day": date(moment.year, 1, 1).isoformat(),
        "last_day": date(moment.year + 1, 12, 31).isoformat(),
        "groups": {"resident": ["adult"], "concession": ["young", "older"]},
        "activities": {"swim": "Swimming"},
        "prices": [{"activity": "swim", "group": group, "price": price} for group, price in prices.items()],
    }
    with TemporaryDirectory() as folder:
        path = Path(folder) / "example.json"
        path.write_text(json.dumps(sheet), encoding="utf-8")
        loaded = context.services[SERVICE].load((path,), currency=currency)
    draft = draft_tariff(connection, SERVICE, loaded, source=path.name, actor=actor, moment=moment)
    if draft is not None:
        approve(connection, draft.id, actor=actor, moment=moment, one_person=True)
    return loaded.version


def _people(
    context: Context, connection: Connection, count: int, moment: datetime, actor: str
) -> dict[CardholderId, tuple[str, PayerId]]:
    currency, kek = context.scheme.currency, context.keys.cardholder_kek
    made: dict[CardholderId, tuple[str, PayerId]] = {}
    before: CardholderId | None = None
    for number in range(count):
        name = f"{_FIRST[number % len(_FIRST)]} {_LAST[number // 3 % len(_LAST)]}"
        new = NewCardholder(name, "young" if _is_child(number) else "adult")
        holder, payer = add_cardholder(connection, new, currency, kek, actor=actor, moment=moment)
        made[holder] = name, payer
        if before is not None and _is_child(number):
            family = create_payer(connection, "family", currency, moment)
            for member in (before, holder):
                # Later than each is their own payer, if by no more than can be told.
                assign_payer(connection, member, family, moment + timedelta(milliseconds=1), moment)
                made[member] = made[member][0], family
        before = holder
    return made


def _is_child(number: int) -> bool:
    return number % 3 == 2


def _order(connection: Connection, holder: CardholderId, number: int, moment: datetime, actor: str) -> object:
    kind = "young-citizen" if _is_child(number) else "citizen"
    return order_card(connection, holder, kind, actor=actor, moment=moment).id


def _pay_in(context: Context, connection: Connection, payer: PayerId) -> int:
    """Money over the counter; nobody else knows of the payer yet, so that nothing need be locked."""
    currency = context.scheme.currency
    amount_minor = _minor(_PAID_IN, currency)
    own_id = TransactionId(new_id())
    [found] = read_on(connection, [ReadQuery((payer,), (own_id,))])
    view = found.views[payer]
    moved = pay_in(view, scheme_clearing("cash"), amount_minor, currency)
    body = sha256(b"seed" + own_id.bytes).digest()
    post_payment(connection, payment_posting(context, view, own_id, body, moved), None)
    return amount_minor


def _minor(whole: int, currency: str) -> int:
    return int(whole * 10 ** exponent(currency))
