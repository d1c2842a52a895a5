"""Every command that reports on the ledger or changes it, once, on a Citus cluster; and providers' names."""

from getpass import getuser
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import create_engine, update

from cardservice.providers.models import provider
from cardservice.services import discover
from cardservice.tariffs.service import store_tariff
from cardservice.upkeep import keep_up
from tests.cardservice.cluster.conftest import Divided
from tests.support.council import ACTOR, DEMO_DATA, message, request_for

pytestmark = pytest.mark.long

FIRST, LAST = "2026-01-01", "2099-12-31"
NAME = "Vale Buses Ltd"
# Whoever runs the tests may be told whom it is about.
MAY = dict.fromkeys(("CARDSERVICE_RECALL_NAMES", "CARDSERVICE_FUNDING_NAMES"), f"cli:{getuser()}")


def _reports(divided: Divided, sold: UUID, folder: Path) -> list[tuple[str, ...]]:
    """What is asked, about a card that has paid a fare on a day that is sealed."""
    card, other = divided.cards[0], divided.cards[1]
    holder, payer, day = str(card.holder), str(card.payer), str(divided.council.clock().date())
    return [
        ("account", "show", holder),
        ("account", "dormant"),
        ("advices", "losses"),
        ("audit", "verify"),
        ("balance", holder),
        ("card", "show", str(card.id)),
        ("card", "list"),
        ("card", "entitlements", str(card.id)),
        ("cardholder", "show", holder),
        ("cardholder", "accesses", holder),
        ("cardholder", "export", holder, str(folder / "everything")),
        ("concession", "claim", "transport", day, day, str(folder / "claims.csv")),
        ("funding", "counts", "meals", day, day),
        ("kitchen", "sold", "meals", day),
        ("kitchen", "orders", "meals", day),
        ("ledger", "heads"),
        ("ledger", "prove", str(sold)),
        ("ledger", "verify"),
        ("library", "counts", day[:7]),
        ("library", "takings", day),
        ("limit", "rules"),
        ("payer", "history", holder),
        ("payer", "show", payer),
        ("payer", "statement", payer, "--from", FIRST, "--to", LAST),
        ("payment", "list"),
        ("payment", "exceptions"),
        ("proof", "export", str(sold), str(folder / "proof")),
        ("provider", "sales", "vale-buses", FIRST, LAST),
        ("provider", "statement", "vale-buses", FIRST, LAST),
        ("quarantine", "list"),
        ("retention", "run", "--dry-run"),
        ("security", "list"),
        ("settlement", "report"),
        ("terminal", "gaps"),
        ("terminal", "list"),
        ("transaction", "day", str(other.holder), "transport", day),
        ("transaction", "explain", str(sold)),
        ("kitchen", "recall", "meals", "flapjack", day, day),
        ("funding", "due", "meals", day),
        ("provider", "show", "vale-buses"),
        ("settlement", "match"),
        ("import", "list"),
        *_changes(divided),
        ("retention", "run"),
    ]


def _changes(divided: Divided) -> list[tuple[str, ...]]:
    """What the keyboard does to people's money, and to people."""
    one, other = divided.cards[2:4]
    gone = divided.council.card()
    return [
        ("topup", str(one.holder), "5.00"),
        ("payer", "goodwill", str(one.payer), "1.00"),
        ("payer", "carry-over", str(one.payer), str(other.payer), "1.00"),
        ("limit", "set", str(one.holder), "transport.day", "5.00"),
        ("limit", "lift", str(one.holder), "transport.day"),
        ("payment", "redeem", str(one.payer), "1.00"),
        ("account", "close", str(other.holder), "--why", "asked"),
        ("cardholder", "erase", str(gone.holder), "--yes"),
    ]


def test_every_report_is_made(divided: Divided, tmp_path: Path) -> None:
    """None of them asks what a cluster cannot answer."""
    council = divided.council
    menu = discover()["meals"].load([DEMO_DATA / "menu.json", DEMO_DATA / "programmes.json"], currency="GBP")
    with council.context.database.begin() as connection:
        store_tariff(connection, "meals", menu, source="menu", actor=ACTOR, moment=council.clock())
    terminal, card = council.terminal("reported"), divided.cards[0]
    asked = request_for(terminal, card)
    assert terminal.post("/v1/authorisations", message(asked, card)).outcome == (200, "approved")
    council.clock.advance(days=1)
    assert keep_up(council.context).sealed
    failed = {}
    for report in _reports(divided, asked.id, tmp_path):
        done = divided.stack.attempt("cardservice", *report, environment=MAY)
        if done.status:
            failed[report] = done.err
    divided.stack.run("cardservice", "ledger", "verify", "--whole")
    assert not failed, "\n".join(f"{' '.join(report)}: {said}" for report, said in failed.items())


def test_a_statement_names_providers(divided: Divided) -> None:
    """They lie at the coordinator, and entries at the nodes."""
    council = divided.council
    owner = create_engine(divided.cluster.url.replace("postgresql:", "postgresql+psycopg:"))
    with owner.begin() as connection:
        connection.execute(update(provider).where(provider.c.id == "vale-buses").values(name=NAME))
    owner.dispose()
    terminal, card = council.terminal("named"), divided.cards[1]
    assert terminal.post("/v1/authorisations", message(request_for(terminal, card), card)).outcome == (
        200,
        "approved",
    )
    period = ("--from", FIRST, "--to", LAST)
    told = divided.stack.run("cardservice", "payer", "statement", str(card.payer), *period, "--json").json
    sold = [line for line in [*told["lines"], *told["not_settled_yet"]] if line["provider"] == "vale-buses"]
    assert sold
    assert {line["provider_name"] for line in sold} == {NAME}
