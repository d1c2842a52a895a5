"""Cases as they come, and as they should not come: random ones of every service, each from its own number."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

from cardservice.authorisation.case import Case
from cardservice.authorisation.facts import Facts
from cardservice.authorisation.found import Found
from cardservice.authorisation.messages import CardMessage
from cardservice.authorisation.proofs import CheckedProof
from cardservice.cards.service import Card, StateChange
from cardservice.cards.states import CardState
from cardservice.ids import CardholderId, CardId, PayerId, ProviderId, TerminalId, TransactionId
from cardservice.ledger.values import (
    AccountView,
    CounterView,
    Decision,
    KnownTransaction,
    LimitView,
    PayerView,
)
from cardservice.services import discover, with_keys
from cardservice.services.limits import LIFTED
from cardservice.services.seam import Entitlement
from cardservice.tariffs.service import TariffVersion
from cardservice.terminals.service import Terminal
from pki.statements import SignedStatement, StatementKind, TransactionStatement
from tests.cardservice.services import leisure_tariffs, parking_tariffs
from tests.support.council import DEMO_DATA

NOON = datetime(2026, 6, 15, 11, 30, tzinfo=UTC)
_STOPS = ("market-place", "upper-vale", "nowhere")
_ITEMS = {"meal-pasta": 260, "flapjack": 80, "milk": 35, "water": 0, "gone": 10}
# Counted by the service, and by the platform for a service that knows nothing of it.
_DAILY = ("meals.day", "transport.day")
_FARES = (240, 120, 0, 241)
_SELLING = ("transport", "transport", "meals", "meals", "leisure", "parking")
# What the tests' own tariffs of both ask for, and what nothing costs.
_ADMISSIONS, _STAYS = (0, 210, 420, 500, 620, 4_000), (0, 20, 90, 160, 300, 600, 1_000, 4_500)
_STATES = (*(CardState.ACTIVE,) * 8, CardState.SUSPENDED, CardState.REVOKED, CardState.ORDERED)


@dataclass(frozen=True, slots=True)
class Tariffs:
    """The demonstration's tariffs, prepared, with their versions."""

    prepared: dict[str, object]
    versions: dict[str, str]


def tariffs() -> Tariffs:
    """Loaded as an administrator does; of leisure and parking the tests' own."""
    services = discovered()
    files = {
        "transport": [DEMO_DATA / "feed", DEMO_DATA / "map.json"],
        "meals": [DEMO_DATA / "menu.json", DEMO_DATA / "programmes.json"],
    }
    loaded = {name: services[name].load(paths, currency="GBP") for name, paths in files.items()}
    for name, module in (("leisure", leisure_tariffs), ("parking", parking_tariffs)):
        with TemporaryDirectory() as folder:
            loaded[name] = module.load(Path(folder))
    return Tariffs(
        {name: services[name].prepare(one.content) for name, one in loaded.items()},
        {name: one.version for name, one in loaded.items()},
    )


def random_case(number: int, known: Tariffs) -> Case:
    """The case of this number: the same number, the same case."""
    chance = Random(number)  # noqa: S311 - the same number gives the same case, which is the point
    service = chance.choice(_SELLING)
    posted_at = NOON + timedelta(milliseconds=chance.randrange(10_000))
    advice = chance.random() < 0.45
    late = timedelta(milliseconds=chance.randrange(86_400_000) if advice else chance.randrange(5_000))
    doubtful = chance.random() < 0.05
    time = posted_at + timedelta(minutes=7) if doubtful else posted_at - late
    action, details, amount_minor = _wanted(chance, service)
    terminal = Terminal(
        id=TerminalId("terminal-1"),
        provider_id=ProviderId("provider-1"),
        role="",
        offline_limit_minor=chance.choice((None, 200, 500, 500, 500)),
        certificate_der=b"",
        revoked_at=None,
    )
    # Sold rarely without a tariff.
    version = None if chance.random() < 0.02 else TariffVersion(service, known.versions[service], NOON)
    holder, view = _view(chance)
    replaced = _replaced(chance, terminal, view.payer_id) if chance.random() < 0.3 else None
    statement = TransactionStatement(
        scheme="ashcombe",
        id=_uuid(chance),
        terminal=terminal.id,
        sequence=chance.randrange(1_000),
        card=_uuid(chance),
        kind=StatementKind.ADVICE if advice else StatementKind.REQUEST,
        service=service,
        action=action,
        amount_minor=amount_minor,
        currency="EUR" if chance.random() < 0.03 else "GBP",
        tariff_version=chance.choice((None, known.versions[service], "older")),
        offline=advice and chance.random() < 0.8,
        details_hmac=bytes(32),
        time=time,
        nonce=None if advice else chance.randbytes(24),
        replaces=None if replaced is None else replaced.id,
    )
    card = Card(
        id=CardId(statement.card),
        cardholder_id=holder,
        kind="visitor",
        expires_on=date(2026, 6, 14) if chance.random() < 0.03 else date(2031, 6, 14),
        category=chance.choice(("adult", "young", "older", "pupil")),
        entitlements=_entitlements(chance),
        states=(
            StateChange(CardState.ACTIVE, NOON - timedelta(days=90), "handed over"),
            StateChange(chance.choice(_STATES), posted_at - timedelta(minutes=chance.randrange(120)), "said"),
        ),
    )
    return Case(
        message=CardMessage(SignedStatement(b"", statement.payload(), statement, b"", None), details, b""),
        terminal=terminal,
        facts=Facts(
            moment=posted_at,
            card=card,
            payer_id=view.payer_id,
            views={view.payer_id: view},
            known={} if replaced is None else {replaced.id: replaced},
            found=Found(
                terminal=terminal,
                card=card,
                certificate=None,
                key=None,
                tariff=version,
                payer_id=view.payer_id,
                views={view.payer_id: view},
                known=frozenset(),
                crl=None,
            ),
        ),
        proof=CheckedProof(
            certificate_sha256=bytes(32),
            issuer="cards",
            not_before=NOON - timedelta(days=90),
            not_after=NOON + timedelta(days=-1 if chance.random() < 0.02 else 900),
            certificate_revoked_at=NOON - timedelta(hours=1) if chance.random() < 0.02 else None,
        ),
        nonce_is_fresh=not advice and chance.random() < 0.95,
        service=discovered()[service],
        tariff=None if version is None else known.prepared[service],
        currency="GBP",
        timezone="Europe/London",
        allergens=frozenset(chance.sample(("milk", "nuts", "eggs"), chance.choice((0, 0, 0, 1))))
        if discovered()[service].actions[statement.action].sees_allergens
        else frozenset(),
    )


def _entitlements(chance: Random) -> tuple[Entitlement, ...]:
    """Mostly none; some over, some not on record yet when it was sold."""
    return tuple(
        Entitlement(
            service="meals",
            programme=chance.choice(("targeted", "council-primary", "council-extra")),
            year=chance.choice(("5", "8")),
            first_day=date(2026, 1, 1),
            review_on=date(2026, chance.choice((6, 9)), 1),
            recorded_at=NOON - timedelta(hours=chance.randrange(30)),
        )
        for _ in range(chance.choice((0, 0, 1, 2)))
    )


_SERVICES = with_keys(discover(), parking_tariffs.MASTER)


def discovered() -> dict[str, Any]:
    """The services, found once; those that want a key have one."""
    return dict(_SERVICES)


def _wanted(chance: Random, service: str) -> tuple[str, dict[str, Any], int | None]:
    """Action, details and the signed amount: mostly right."""
    action = {"transport": "single-fare", "meals": "sale"}.get(service, "")
    details: dict[str, Any]
    if service == "transport":
        details = {"from_stop": chance.choice(_STOPS[:2]), "to_stop": chance.choice(_STOPS)}
        amount_minor = chance.choice(_FARES)
    elif service == "leisure":
        action, details = _visit(chance)
        amount_minor = chance.choice(_ADMISSIONS)
    elif service == "parking":
        action, details = _stay(chance)
        amount_minor = chance.choice(_STAYS)
    else:
        tray = {chance.choice(list(_ITEMS)): chance.randint(1, 3) for _ in range(chance.randint(1, 3))}
        items = [{"item": item, "quantity": quantity} for item, quantity in tray.items()]
        details = {"service": "lunch" if chance.random() < 0.95 else "tea", "items": items}
        amount_minor = sum(_ITEMS[item] * quantity for item, quantity in tray.items())
        amount_minor += chance.random() < 0.05
    if chance.random() < 0.02:
        details = {"else": 1}
    return action, details, None if chance.random() < 0.03 else amount_minor


def _visit(chance: Random) -> tuple[str, dict[str, Any]]:
    """Somebody is let in, books or buys visits."""
    action = chance.choice(("entry", "entry", "book", "buy"))
    if action == "buy":
        return action, {"product": chance.choice(("ten-gyms", "none"))}
    session = chance.choice(("early", "late", "late"))
    by = chance.choice(("pay", "pay", "pass", "visits"))
    if action == "book":
        return action, {"session": session, "by": by}
    swim = chance.random() < 0.5
    return action, {"activity": "swim", "session": session, "by": by} if swim else {
        "activity": "gym",
        "by": by,
    }


def _stay(chance: Random) -> tuple[str, dict[str, Any]]:
    """A car stays somewhere, drives in where it is paid on leaving, or is to have a permit."""
    action = chance.choice(("start", "start", "enter", "permit"))
    plate = chance.choice(("AB12 CDE", "xy70 abc"))
    if action == "permit":
        return action, {
            "permit": chance.choice(("zone-a", "visitor")),
            "plate": plate,
            "number": chance.choice((1, 2)),
        }
    place = chance.choice(("high-street", "green", "east-reach", "old-wharf"))
    minutes = {"minutes": chance.choice((20, 30, 60, 120, 240))} if action == "start" else {}
    return action, {"place": "old-wharf" if action == "enter" else place, "plate": plate, **minutes}


def _view(chance: Random) -> tuple[CardholderId, PayerView]:
    """A family of three, with as much history as there is by June."""
    persons = [CardholderId(_uuid(chance)) for _ in range(3)]
    day = NOON.date()
    counters = [
        CounterView(person, rule, str(day - timedelta(days=back)), chance.randrange(600))
        for rule in _DAILY
        for person in persons
        for back in range(chance.randrange(4))
    ]
    limits = [
        LimitView(
            chance.choice((*persons, None)),
            chance.choice(_DAILY),
            chance.choice((LIFTED, 0, 300, 700, 5_000)),
            NOON - timedelta(hours=chance.randrange(100)),
            NOON - timedelta(hours=chance.randrange(100)),
        )
        for _ in range(chance.choice((0, 0, 1, 3)))
    ]
    # Services switched off and on: of one's own, or of somebody else of the family.
    limits += [
        LimitView(chance.choice(persons), chance.choice(("meals", "transport")), chance.randrange(2), at, at)
        for at in (NOON - timedelta(hours=chance.randrange(100)) for _ in range(chance.choice((0, 0, 0, 2))))
    ]
    accounts = (
        AccountView("arrears", "", "", "GBP", -chance.choice((0, 0, 150)), None),
        AccountView("points", "", "", "points", chance.randrange(100), 0),
        AccountView(
            "prepaid", "", "", "GBP", chance.choice((0, 100, 300, 2_000)), chance.choice((0, 0, -200))
        ),
    )
    payer = PayerId(_uuid(chance))
    return persons[0], PayerView(payer, chance.randrange(99), accounts, tuple(counters), tuple(limits))


def _replaced(chance: Random, terminal: Terminal, payer_id: PayerId) -> KnownTransaction:
    decisions: tuple[Decision, ...] = ("approved", "approved", "declined", "annulled", "duplicate")
    decision = chance.choice(decisions)
    first = TransactionId(_uuid(chance))
    return KnownTransaction(
        payer_id=payer_id,
        id=TransactionId(_uuid(chance)),
        origin="card",
        kind="request",
        body=bytes(32),
        terminal_id=terminal.id if chance.random() < 0.9 else TerminalId("terminal-2"),
        sequence=1,
        provider_id=terminal.provider_id,
        service="transport",
        action="single-fare",
        decision=decision,
        reason="approved",
        amount_minor=1,
        unit="GBP",
        tariff_version=None,
        offline=False,
        flags=(),
        replaces=None,
        duplicate_of=first if decision == "duplicate" else None,
        annuls=None,
        occurred_at=NOON,
        posted_at=NOON,
        answer=None,
        transfers=(),
        annulled_by=TransactionId(_uuid(chance)) if chance.random() < 0.3 else None,
        kept_by=None,
    )


def _uuid(chance: Random) -> UUID:
    return UUID(int=chance.getrandbits(128), version=4)
