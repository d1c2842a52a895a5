"""A provider's statement adds up to the ledger to the penny, day by day, over every service: by other SQL."""

import csv
import json
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select, text

from cardservice.audit.models import audit
from cardservice.authorisation.refunding import Wish
from cardservice.authorisation.refunds import Refund, give
from cardservice.circulation.fines import charge
from cardservice.circulation.members import join
from cardservice.cli import main
from cardservice.context import Context
from cardservice.ids import CardholderId, TransactionId
from cardservice.ledger.closing.sequencing import sequence
from cardservice.rating.service import rate_all
from cardservice.services.lending import Late, Lending
from cardservice.tariffs.service import store_tariff
from cardservice.upkeep import calendar_of
from pki.statements import details_hmac
from tests.cardservice.conftest import PASSPHRASE
from tests.cardservice.services import leisure_tariffs, library_terms, parking_tariffs
from tests.cardservice.services.travels import load_travel
from tests.support.council import ACTOR, SALT, Card, Council, Terminal, annulment, message, request_for

URL = "/v1/authorisations"
TAXED = {
    "transport": {("single-fare", "zero", 0), ("", "zero", 0)},
    "parking": {("start", "standard", 15), ("pay-on-exit", "standard", 33)},
    "leisure": {("entry", "standard", 83)},
}
PROVIDERS = ("vale-buses", "school", "car-parks", "pool", "library")
# What was credited less what was debited, by the day on which the entry settles: nothing of our own program.
INDEPENDENT = """
    SELECT CAST(s.settled_on AS text) AS day,
        sum(CASE WHEN t.credit = :account THEN t.amount_minor ELSE 0 END)
        - sum(CASE WHEN t.debit = :account THEN t.amount_minor ELSE 0 END) AS owed
    FROM transfer t
    JOIN ledger_sequence s ON s.payer_id = t.payer_id AND s.transaction_id = t.transaction_id
    WHERE :account IN (t.debit, t.credit)
    GROUP BY s.settled_on ORDER BY s.settled_on"""


def _taxed(tariff: dict[str, Any], code: str, rate: str) -> dict[str, Any]:
    """A tariff with one tax on everything."""
    tariff["supplier_role"] = "principal"
    tariff["taxes"] = [{"role": "principal", "code": code, "rate": rate}]
    return tariff


class Town:
    """Five providers with a terminal each, and a card that pays them all."""

    def __init__(self, council: Council, folder: Path) -> None:
        self.council = council
        self.members: set[UUID] = set()
        council.load_menu()
        for service, loaded in (
            ("transport", load_travel(folder, card_map=_taxed({}, "zero", "0"))),
            ("parking", parking_tariffs.load(folder, lambda tariff: _taxed(tariff, "standard", "20"))),
            ("leisure", leisure_tariffs.load(folder, lambda tariff: _taxed(tariff, "standard", "20"))),
            ("library", library_terms.load(folder)),
        ):
            with council.context.database.begin() as connection:
                store_tariff(connection, service, loaded, source="x", actor=ACTOR, moment=council.clock())
        for provider in PROVIDERS[1:]:
            council.provider(provider)
        roles = ("validator", "till", "parking-machine", "gate", "library-desk")
        self.terminals = {
            provider: council.terminal(f"{provider}-1", role, provider=provider)
            for provider, role in zip(PROVIDERS, roles, strict=True)
        }

    def pay(self, card: Card, provider: str, what: str, amount_minor: int | None, /, **details: Any) -> UUID:
        """`parking start` and so on, approved."""
        terminal: Terminal = self.terminals[provider]
        service, action = what.split()
        own = request_for(
            terminal,
            card,
            service=service,
            action=action,
            amount_minor=amount_minor,
            details_hmac=details_hmac(SALT, details),
        )
        assert terminal.post(URL, message(own, card, details=details)).outcome == (200, "approved")
        return own.id

    def annul(self, card: Card, provider: str, what: UUID) -> None:
        terminal = self.terminals[provider]
        assert terminal.post(URL, annulment(terminal, card, what)).outcome == (200, "annulled")

    def keep(self) -> None:
        """Number and rate what there is, and number that."""
        context = self.council.context
        sequence(context.database, calendar_of(context))
        rate_all(context)
        sequence(context.database, calendar_of(context))

    def independent(self, provider: str) -> dict[str, int]:
        with self.council.context.database.reading() as connection:
            rows = connection.execute(text(INDEPENDENT), {"account": f"provider:{provider}:payable"})
            return {row.day[:10]: int(row.owed) for row in rows}


def run(context: Context, *arguments: str, what: str = "statement") -> Result:
    """`cardservice provider statement`, in this process."""
    settings = {
        "CARDSERVICE_MODE": "development",
        "CARDSERVICE_DATABASE_URL": context.settings.database_url,
        "CARDSERVICE_PKI_DIR": str(context.settings.pki_dir),
        "CARDSERVICE_PASSPHRASE": PASSPHRASE.decode(),
        "CARDSERVICE_PUBLIC_ORIGIN": context.settings.public_origin,
    }
    return CliRunner().invoke(main, ["provider", what, *arguments], env=settings)


@pytest.fixture
def town(council: Council, tmp_path: Path) -> Town:
    return Town(council, tmp_path)


def a_day_of_everything(town: Town, card: Card) -> None:
    """Sales, what is taken back, refunds, days that are rated and rated anew, an amount that is reserved."""
    trip = {"from_stop": "a1", "to_stop": "b1"}
    town.pay(card, "vale-buses", "transport single-fare", 100, **trip)
    town.annul(card, "vale-buses", town.pay(card, "vale-buses", "transport single-fare", 100, **trip))
    town.pay(card, "vale-buses", "transport tap-in", None, stop="a1")
    town.keep()
    town.council.clock.advance(minutes=10)
    town.pay(card, "vale-buses", "transport tap-out", None, stop="b1")
    milk = {"service": "lunch", "items": [{"item": "milk", "quantity": 2}]}
    sale = town.pay(card, "school", "meals sale", 70, **milk)
    give(town.council.context, Refund(Wish(TransactionId(sale), amount_minor=33)), actor=ACTOR)
    town.pay(card, "school", "meals sale", 70, **milk)
    town.pay(card, "car-parks", "parking start", 90, place="high-street", plate="AB12CDE", minutes=30)
    town.pay(card, "car-parks", "parking enter", 600, place="old-wharf", plate="P1")
    entered = town.council.clock().isoformat()
    town.council.clock.advance(minutes=90)
    town.pay(card, "car-parks", "parking pay-on-exit", 200, place="old-wharf", plate="P1", entered_at=entered)
    town.pay(card, "pool", "leisure entry", 500, activity="gym")
    with town.council.context.database.begin() as connection:
        lending, moment = town.council.context.services["library"], town.council.clock()
        assert isinstance(lending, Lending)
        if card.holder not in town.members:
            join(connection, CardholderId(card.holder), "3001", None, by="test", moment=moment)
            town.members.add(card.holder)
        charge(connection, lending, CardholderId(card.holder), Late(days=3, fine_minor=60), moment)
    town.pay(card, "library", "library pay-fine", 60, amount_minor=60)
    town.keep()


def test_it_adds_up_to_the_ledger(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    council, context = town.council, town.council.context
    monkeypatch.setattr("cardservice.context.system_clock", lambda _: council.clock)
    card = council.card("adult", top_up_minor=20_000)
    council.terminal("till-2", "till", provider="school")
    for _ in range(2):
        a_day_of_everything(town, card)
        council.clock.advance(days=1)
        council.clock.moment -= timedelta(minutes=100)
    town.pay(card, "pool", "leisure entry", 500, activity="gym")
    for provider in PROVIDERS:
        said = run(context, provider, "2026-06-01", "2026-06-30", "--json")
        assert said.exit_code == 0, said.output
        told = json.loads(said.stdout)
        by_day: dict[str, int] = {}
        for line in told["lines"]:
            by_day[line["settled_on"]] = by_day.get(line["settled_on"], 0) + line["owed_minor"]
            assert line["owed_minor"] == line["charged_minor"] - line["given_back_minor"]
        assert by_day == town.independent(provider)
        assert len(by_day) == 2
        # A sixth of what includes 20 per cent; nothing of passengers. Of days no rate stands.
        assert {
            (line["action"], line["tax_code"], line["tax_minor"])
            for line in told["lines"]
            if line["owed_minor"] and line["service"] in TAXED
        } == TAXED.get(told["lines"][0]["service"], set())
        assert told["closing_minor"] == told["opening_minor"] + sum(by_day.values())
        # A statement that begins later has what went before it as what was owed.
        second = json.loads(run(context, provider, "2026-06-16", "2026-06-16", "--json").stdout)
        assert (second["opening_minor"], second["closing_minor"]) == (
            by_day["2026-06-15"],
            told["closing_minor"],
        )
        rows = list(
            csv.DictReader(StringIO(run(context, provider, "2026-06-01", "2026-06-30", "--csv").stdout))
        )
        assert len(rows) == len(told["lines"]) + len(told["not_settled_yet"])
    # 1.00 and a day of 1.00; 1.40 less 0.33; 0.90 and 2.00; the last entry has no day yet.
    assert town.independent("vale-buses") == {"2026-06-15": 200, "2026-06-16": 200}
    assert town.independent("library") == {"2026-06-15": 60, "2026-06-16": 60}
    assert town.independent("school") == {"2026-06-15": 107, "2026-06-16": 107}
    words = run(context, "pool", "2026-06-01", "2026-06-30").stdout.splitlines()
    assert words[-2] == "Not settled yet:"
    assert words[-1] == "  leisure entry, tax code standard: 1 transactions, 5.00 GBP: 5.00 GBP"
    assert run(context, "nobody", "2026-06-01", "2026-06-30").exit_code == 1
    assert str(card.holder) not in "".join(words)
    _check_sales(context, card)
    with context.database.reading() as connection:
        noted = connection.scalars(select(audit.c.subject).where(audit.c.action == "provider.statement"))
        assert set(noted) == {*PROVIDERS, "nobody"}


def _check_sales(context: Context, card: Card) -> None:
    """One by one, each provider sees a customer of its own: the same one each time, whom no other has."""
    # An amount that was reserved and released counts as given back, too.
    customers, expected = [], {"vale-buses": 200, "school": 66, "car-parks": 1200}
    for provider in PROVIDERS:
        told = run(context, provider, "2026-06-01", "2026-06-30", "--json", what="sales")
        assert told.exit_code == 0, told.output
        sold = json.loads(told.stdout)["sales"]
        assert len(sold) >= 2
        given_back = sum(each["given_back_minor"] for each in sold)
        assert given_back == expected.get(provider, 0)
        [customer] = {each["customer"] for each in sold}
        customers.append(customer)
        table = run(context, provider, "2026-06-01", "2026-06-30", "--csv", what="sales").stdout
        assert table.count(customer) == len(sold)
        for known in (card.holder, card.payer, card.id):
            assert str(known) not in told.stdout + table
            assert known.hex not in told.stdout + table
    assert len(set(customers)) == len(PROVIDERS)


def test_what_does_not_add_up_is_said(town: Town) -> None:
    """Somebody has changed a sum: the day is named, and the exit status tells."""
    card = town.council.card("adult", top_up_minor=2000)
    town.pay(card, "pool", "leisure entry", 500, activity="gym")
    town.keep()
    with town.council.context.database.begin() as connection:
        connection.execute(text("UPDATE account_rollup SET credit_minor = 499 WHERE account LIKE '%pool%'"))
    said = run(town.council.context, "pool", "2026-06-01", "2026-06-30")
    assert said.exit_code == 1
    assert "does not add up to the ledger on 2026-06-15" in said.stderr
