"""`cardservice retention` and `cardservice keys`, as an administrator runs them, on both databases."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import Connection, func, select

from cardservice.api.app import create_app
from cardservice.audit.models import audit
from cardservice.authorisation import annulment as annulment_module
from cardservice.authorisation import refunds
from cardservice.authorisation.export import fault_of_proof
from cardservice.cardholders.models import cardholder
from cardservice.cardholders.retention import RECORD_DAYS
from cardservice.cardholders.service import NewCardholder, add_cardholder
from cardservice.cli import main
from cardservice.context import Context
from cardservice.keys import load_service_keys
from cardservice.ledger.event_models import reservation, resource
from cardservice.ledger.models import (
    cardholder_key,
    counter,
    ledger_transaction,
    transaction_details,
    transfer,
)
from cardservice.ledger.privacy import destroy_key
from cardservice.ledger.retention import erase_due, periods
from cardservice.ledger.verify import verify
from cardservice.services import discover, retention_days
from cardservice.tariffs.service import store_tariff
from pki.clock import OFFSET_VARIABLE, system_clock
from pki.statements import details_hmac
from tests.cardservice.conftest import PASSPHRASE
from tests.cardservice.services.parking_tariffs import load
from tests.support.council import (
    ACTOR,
    SALT,
    Card,
    Council,
    Terminal,
    advice_of,
    annulment,
    message,
    request_for,
)
from tests.support.databases import DatabaseUrls

URL = "/v1/authorisations"
FARES = 5


@pytest.fixture
def environment(council: Council) -> dict[str, str]:
    """The settings of a command."""
    settings = council.context.settings
    return {
        "CARDSERVICE_MODE": "development",
        "CARDSERVICE_DATABASE_URL": settings.database_url,
        "CARDSERVICE_PKI_DIR": str(settings.pki_dir),
        "CARDSERVICE_PASSPHRASE": PASSPHRASE.decode(),
        "CARDSERVICE_PUBLIC_ORIGIN": settings.public_origin,
    }


@pytest.fixture
def bus(council: Council) -> Terminal:
    """A validator."""
    return council.terminal("bus-12")


@pytest.fixture
def card(council: Council, bus: Terminal) -> Card:
    """A card with some fares, one of them annulled."""
    made = council.card(top_up_minor=5_000)
    for _ in range(FARES):
        fare = request_for(bus, made)
        assert bus.post(URL, message(fare, made)).status == 200
    assert bus.post(URL, annulment(bus, made, fare.id)).status == 200
    return made


def run(council: Council, environment: dict[str, str], *command: str, days: float = 0) -> Any:
    """What a command prints, so many days after the test's now."""
    offset = (council.clock() - system_clock()()).total_seconds() + days * 86_400
    done = CliRunner().invoke(main, [*command, "--json"], env=environment | {OFFSET_VARIABLE: str(offset)})
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def counted(context: Context, table: Any) -> int:
    """How many rows a table has."""
    with context.database.reading() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def test_every_class_has_a_period() -> None:
    """Of every action of every service, so that nothing is kept for ever by forgetting it."""
    actions = [action for service in discover().values() for action in service.actions.values()]
    classes = {annulment_module.RETENTION, refunds.RETENTION, *(each.retention_class for each in actions)}
    assert classes <= set(periods(retention_days(discover()), {}))


def test_retention(council: Council, card: Card, environment: dict[str, str]) -> None:
    """Nothing on the day, travel after its period, by the scheme's own; amounts and ids stay."""
    context, command = council.context, ("retention", "run")
    rows = counted(context, ledger_transaction), counted(context, transfer)
    dry = run(council, environment, *command, "--dry-run", days=57)
    assert dry["classes"][1] == {
        "class": "travel",
        "days": 56,
        "kept": FARES,
        "due": FARES,
        "erased": 0,
    }
    assert {one["class"]: one["days"] for one in dry["records"]} == RECORD_DAYS
    assert {one["due"] for one in dry["records"]} == {0}
    shorter = environment | {"CARDSERVICE_RETENTION_DAYS": "travel=10"}
    assert run(council, shorter, *command, days=9)["classes"][1]["erased"] == 0
    assert run(council, shorter, *command, days=11)["classes"][1]["erased"] == FARES
    assert (counted(context, ledger_transaction), counted(context, transfer)) == rows
    assert counted(context, transaction_details) == 1
    report = verify(context.database, lambda *found: fault_of_proof(context, *found))
    assert (report.findings, report.proofs_erased) == ((), 0)
    with context.database.reading() as connection:
        noted = connection.execute(select(audit).where(audit.c.action == "retention.erase")).all()
    assert [(row.subject, row.detail) for row in noted] == [("travel", {"details": FARES})]


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_dormant_people_are_erased_when_that_is_said(
    council: Council, card: Card, environment: dict[str, str], database_urls: DatabaseUrls
) -> None:
    """Named each night; erased with the word for it alone, and never who has a card or money."""
    with council.context.database.begin() as connection:
        new = NewCardholder("Robin Still", "adult")
        moment = council.clock()
        holder, _ = add_cardholder(connection, new, "GBP", council.kek, actor=ACTOR, moment=moment)
    roles = environment | {
        "CARDSERVICE_OWNER_DATABASE_URL": database_urls.owner,
        "CARDSERVICE_ERASURE_DATABASE_URL": database_urls.eraser,
    }

    def dormant(*more: str) -> Any:
        [one] = [
            each
            for each in run(council, roles, "retention", "run", *more, days=1_200)["records"]
            if each["class"] == "dormant"
        ]
        return one

    assert dormant() == {"class": "dormant", "days": 1096, "due": 1, "erased": 0}
    assert dormant("--erase-dormant") == {"class": "dormant", "days": 1096, "due": 1, "erased": 1, "kept": []}
    assert dormant()["due"] == 0
    with council.context.database.reading() as connection:
        left = set(connection.scalars(select(cardholder.c.id)))
    assert (holder in left, card.holder in left) == (False, True)


def test_counters_and_resources_whose_time_has_passed(
    council: Council, environment: dict[str, str], tmp_path: Path
) -> None:
    """A stay's go 56 days after it, a permit of a year stays; annulling the stay takes back nothing then."""
    loaded = load(tmp_path)
    with council.context.database.begin() as connection:
        store_tariff(connection, "parking", loaded, source="t.json", actor=ACTOR, moment=council.clock())
    council.provider("council-parking")
    machine = council.terminal("machine-1", "parking-machine", provider="council-parking")
    council.clock.moment = datetime(2026, 6, 15, 10, 0, tzinfo=UTC)
    card = council.card(top_up_minor=20_000, category="resident")
    permit = {"permit": "zone-a", "number": 1, "plate": "AB12CDE"}
    stay = {"place": "high-street", "minutes": 30, "plate": "AB12CDE"}
    for action, price_minor, details in (("permit", 4500, permit), ("start", 72, stay)):
        sold = request_for(
            *(machine, card),
            service="parking",
            action=action,
            amount_minor=price_minor,
            details_hmac=details_hmac(SALT, details),
        )
        assert machine.post(URL, message(sold, card, details=details)).outcome == (200, "approved")
    assert counted(council.context, reservation) > 1
    early = run(council, environment, "retention", "run", days=50)["passed"]
    nothing = {
        f"{service} {what}": 0
        for service in ("library", "meals", "parking")
        for what in ("counters", "resources")
    }
    assert early == nothing
    held = counted(council.context, resource)
    late = run(council, environment, "retention", "run", days=70)["passed"]
    # The stay, and what was spent on that day.
    assert late == {**nothing, "parking counters": 2, "parking resources": held}
    assert (counted(council.context, reservation), counted(council.context, resource)) == (0, 0)
    with council.context.database.reading() as connection:
        kept = connection.execute(select(counter.c.rule).order_by(counter.c.rule)).scalars().all()
    assert kept == ["parking.permit", "parking.permit-paid"]
    assert machine.post(URL, annulment(machine, card, sold.id)).outcome == (200, "annulled")


def test_what_broke_off_goes_on(council: Council, card: Card) -> None:
    """Each portion is committed by itself, and no class is touched but the one."""
    database, late = council.context.database, council.clock()
    council.clock.advance(days=60)
    late = council.clock()
    noted: list[int] = []

    def note(_: Connection, erased: int) -> None:
        noted.append(erased)

    portions = erase_due(database, "travel", 56, late, note, rows_at_once=2)
    assert next(portions) == 2
    del portions
    assert counted(council.context, transaction_details) == FARES + 1 - 2
    assert list(erase_due(database, "travel", 56, late, note, rows_at_once=2)) == [2, 1]
    assert (noted, counted(council.context, transaction_details)) == ([2, 2, 1], 1)


def test_a_class_without_a_period_is_kept_and_named(
    council: Council, card: Card, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever adds a class gives it a period; until then nothing of it is lost."""
    monkeypatch.setattr("cardservice.commands.erasing.periods", lambda _, configured: dict(configured))
    found = run(council, environment, "retention", "run", days=9_999)["classes"]
    assert {(one["days"], one["erased"]) for one in found} == {(None, 0)}


@pytest.mark.parametrize("wrong", ["travel", "travel=-1", "travel=long", "travel=99999"])
def test_a_period_is_a_number_of_days(environment: dict[str, str], wrong: str) -> None:
    settings = environment | {"CARDSERVICE_RETENTION_DAYS": wrong}
    done = CliRunner().invoke(main, ["retention", "run"], env=settings)
    assert (done.exit_code, "retention_days" in done.stderr) == (1, True)


def test_rewrap_while_the_service_runs(
    council: Council, card: Card, bus: Terminal, environment: dict[str, str], scheme_directory: Path
) -> None:
    """A new version wraps every key that there is; the running service finds it when it needs it."""
    # A folder of keys of its own; the service has read it before anything is done.
    environment["CARDSERVICE_PKI_DIR"] = str(scheme_directory)
    context = replace(council.context, keys=load_service_keys(scheme_directory, PASSPHRASE))
    bus.client = create_app(context).test_client()
    gone = council.card()
    with context.database.begin() as connection:
        destroy_key(connection, gone.holder, council.clock())
    done = run(council, environment, "keys", "rewrap", "--new-version")["versions"]
    assert [(one["version"], one["wraps"], one["file"]) for one in done] == [
        (1, 0, "cardholder-keys.secret"),
        (2, 1, "cardholder-keys-2.secret"),
    ]
    # Again it finds nothing to do, and makes no version by itself.
    assert run(council, environment, "keys", "rewrap")["versions"] == done
    assert _versions(context) == [1]
    told = advice_of(bus, card)
    assert bus.post(URL, message(told, card)).outcome == (200, "approved")
    report = verify(context.database, lambda *found: fault_of_proof(context, *found))
    assert (report.findings, report.proofs_checked) == ((), FARES + 1)
    assert _versions(context) == [1, 2]
    with context.database.reading() as connection:
        versions = list(connection.execute(select(cardholder_key.c.kek_version, cardholder_key.c.wrapped)))
    assert sorted((row.kek_version, row.wrapped is None) for row in versions) == [(1, True), (2, False)]


def _versions(context: Context) -> list[int]:
    """Of the key that wraps keys: those that the service has come to know."""
    return list(context.keys.cardholder_kek.versions)
