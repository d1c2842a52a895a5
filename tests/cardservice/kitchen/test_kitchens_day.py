"""The kitchen's day by docs/services/meals.md: a menu, checks, orders, thirty sales, and the totals after it.

Thirty pupils come to lunch: five of them by programme, two while the till has no connection; one is stopped
for an allergen, one gets a pudding back. Sales go over the wire, everything else by the commands.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from click.testing import Result
from sqlalchemy import select, text

from cardservice.audit.models import audit
from cardservice.cardholders.accesses import accesses
from cardservice.context import Context
from cardservice.ids import CardholderId, new_id
from cardservice.ledger.verify import verify
from cardservice.payments.equation import equation
from cardservice.services import discover
from cardservice.tariffs.service import store_tariff
from pki.statements import StatementKind, details_hmac
from tests.cardservice.command_line import typed
from tests.support.council import DEMO_DATA, SALT, Card, Council, Reply, Terminal, message, request_for

DAY = "2026-06-15"
PRICES = {"meal-pasta": 260, "meal-jacket": 260, "yoghurt": 70, "milk": 35, "flapjack": 80}
LUNCH = {"meal-pasta": 1, "milk": 1}
PUDDING = {"meal-jacket": 1, "yoghurt": 1}
# Reckoned from the postings, and not from the counters that the command reads.
BY_POSTINGS = """
SELECT paid.debit, count(DISTINCT holder.cardholder_id) AS pupils,
    sum(paid.amount_minor - coalesce(back.amount_minor, 0)) AS amount_minor
FROM transfer AS paid
JOIN transaction_proof AS proof
    ON proof.payer_id = paid.payer_id AND proof.transaction_id = paid.transaction_id
JOIN cardholder_key AS holder ON holder.id = proof.key_id
LEFT JOIN (
    SELECT payer_id, reverses_transaction, reverses_line, sum(amount_minor) AS amount_minor
    FROM transfer WHERE reverses_transaction IS NOT NULL
    GROUP BY payer_id, reverses_transaction, reverses_line
) AS back ON back.payer_id = paid.payer_id AND back.reverses_transaction = paid.transaction_id
    AND back.reverses_line = paid.line
WHERE paid.debit LIKE 'scheme:subsidy:%' AND paid.amount_minor > coalesce(back.amount_minor, 0)
GROUP BY paid.debit ORDER BY paid.debit
"""


@dataclass(slots=True)
class Kitchen:
    """A school's till, its pupils and the commands."""

    council: Council
    till: Terminal
    supervisor: Terminal
    folder: Path

    def command(self, *arguments: str, names: str = "", recall: str = "") -> Result:
        """A command, at the time of the test's clock."""
        rights = {"CARDSERVICE_FUNDING_NAMES": names, "CARDSERVICE_RECALL_NAMES": recall}
        return typed(self.council, *arguments, **rights)

    def values(self, *arguments: str, names: str = "", recall: str = "") -> dict[str, Any]:
        """What a command prints for a script."""
        result = self.command(*arguments, "--json", names=names, recall=recall)
        assert result.exit_code == 0, result.output
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    def checks(self, *lines: str) -> Path:
        """A file of checks."""
        path = self.folder / "checks.csv"
        head = "cardholder,programme,year,first_day,review_on,reference"
        path.write_text("\n".join((head, *lines)) + "\n", encoding="utf-8")
        return path

    def ask(self, card: Card, action: str, details: Mapping[str, Any], **changes: Any) -> tuple[str, Reply]:
        """Ask for an action; the transaction, and the answer."""
        till = changes.pop("till", self.till)
        statement = request_for(
            till, card, service="meals", action=action, details_hmac=details_hmac(SALT, details), **changes
        )
        answer = till.post("/v1/authorisations", message(statement, card, details=details))
        return str(statement.id), answer

    def sell(
        self, card: Card, tray: Mapping[str, int], action: str = "sale", **changes: Any
    ) -> tuple[str, Reply]:
        """Sell a tray at lunch, at its price."""
        confirmed = changes.pop("confirmed", None)
        details: dict[str, Any] = {"service": "lunch", "items": items(tray)}
        if confirmed is not None:
            details["confirmed"] = confirmed
        price = sum(PRICES[key] * count for key, count in tray.items())
        return self.ask(card, action, details, amount_minor=price, **changes)


def items(tray: Mapping[str, int]) -> list[dict[str, Any]]:
    """A tray as details have it."""
    return [{"item": key, "quantity": count} for key, count in tray.items()]


@pytest.fixture
def kitchen(council: Council, tmp_path: Path) -> Kitchen:
    """The demonstration's menu with its programmes, all of its checks, and orders until 11:30."""
    menu = json.loads((DEMO_DATA / "menu.json").read_text())
    menu |= {"allergen_stop": True, "second_meal_warning": True, "order_until": "11:30"}
    (tmp_path / "menu.json").write_text(json.dumps(menu))
    files = [tmp_path / "menu.json", DEMO_DATA / "programmes.json"]
    loaded = discover()["meals"].load(files, currency="GBP")
    with council.context.database.begin() as connection:
        store_tariff(connection, "meals", loaded, source="menu", actor="test", moment=council.clock())
    council.provider("school-kitchen")
    tills = [
        council.terminal(f"{role}-1", role, provider="school-kitchen", offline_limit_minor=500)
        for role in ("till", "supervisor-till")
    ]
    return Kitchen(council, tills[0], tills[1], tmp_path)


def test_the_kitchens_day(kitchen: Kitchen, context: Context) -> None:
    council = kitchen.council
    pupils = [council.card("pupil", top_up_minor=1000) for _ in range(24)]
    funded = [council.card("pupil") for _ in range(5)]
    allergic = council.card("pupil", top_up_minor=1000, allergens=["milk"])

    # The office: checks, tried first and then taken.
    checks = kitchen.checks(*(f"{card.holder},targeted,,2026-06-01,2027-06-01,ECS-1" for card in funded))
    assert kitchen.values("funding", "import", "meals", str(checks), "--dry-run")["new"] == 5
    assert kitchen.values("funding", "import", "meals", str(checks)) == {
        "new": 5,
        "unchanged": 0,
        "dry_run": False,
    }
    assert kitchen.values("funding", "import", "meals", str(checks))["unchanged"] == 5

    # The morning: eight order, one cancels, and the kitchen is told what to cook.
    for card in pupils[:6] + funded[:2]:
        order = {"day": DAY, "service": "lunch", "items": items({"meal-pasta": 1})}
        assert kitchen.ask(card, "pre-order", order, amount_minor=None)[1].outcome == (200, "approved")
    assert kitchen.ask(pupils[0], "cancel-order", order, amount_minor=None)[1].outcome == (200, "approved")
    council.clock.advance(minutes=31)
    late = kitchen.ask(pupils[9], "pre-order", order, amount_minor=None)[1]
    assert late.outcome == (200, "order_closed")
    ordered = kitchen.values("kitchen", "orders", "meals", DAY)["orders"]
    assert ordered == [{"service": "lunch", "item": "meal-pasta", "ordered": 7, "collected": 0}]

    # Lunch: seven collect, five of all are funded, two are sold to without a connection.
    council.clock.advance(minutes=30)
    answers = [kitchen.sell(card, {"meal-pasta": 1}, "collect") for card in pupils[1:6] + funded[:2]]
    answers += [kitchen.sell(card, LUNCH) for card in [pupils[0], *pupils[6:20]]]
    answers += [kitchen.sell(card, {"meal-jacket": 1}) for card in funded[2:]]
    answers += [kitchen.sell(card, PUDDING) for card in pupils[20:22]]
    for card in pupils[22:]:
        answers.append(kitchen.sell(card, LUNCH, kind=StatementKind.ADVICE, offline=True))
    stopped = kitchen.sell(allergic, LUNCH)[1]
    assert stopped.outcome == (200, "allergen_stop")
    assert "Carton of milk: milk" in stopped.json["message"]
    answers.append(kitchen.sell(allergic, LUNCH, confirmed=["allergens"]))
    assert [answer.outcome for _, answer in answers] == [(200, "approved")] * 30
    assert [answer.json["flags"] for _, answer in answers] == [[]] * 30
    assert all(answer.json["balances"] == [] for _, answer in answers)

    # Twice, and what only a supervisor may.
    assert kitchen.sell(pupils[1], {"meal-pasta": 1}, "collect")[1].outcome == (200, "not_ordered")
    assert kitchen.sell(funded[0], {"meal-pasta": 1})[1].outcome == (200, "second_meal")
    assert kitchen.sell(funded[0], LUNCH, confirmed=["second-meal"])[1].outcome == (
        200,
        "insufficient_funds",
    )
    assert kitchen.sell(funded[0], LUNCH, "serve-anyway")[1].outcome == (403, "role_not_allowed")
    served = kitchen.sell(funded[0], {"milk": 1}, "serve-anyway", till=kitchen.supervisor)[1]
    assert (served.outcome, served.json["flags"]) == ((200, "approved"), ["served_anyway"])

    # A pudding comes back, once.
    sale = answers[7 + 15 + 3][0]
    back = {"id": str(new_id()), "card": str(pupils[20].id), "sale": sale, "line": 2}
    given_back = kitchen.till.post("/v1/refunds", back)
    assert (given_back.status, given_back.json["amount_minor"], given_back.json["balances"]) == (200, 70, [])
    assert kitchen.till.post("/v1/refunds", {**back, "id": str(new_id())}).status == 422

    # After service: totals without names.
    totals = kitchen.values("kitchen", "sold", "meals", DAY)["services"]["lunch"]
    sold_minor = 7 * 260 + 15 * 295 + 3 * 260 + 2 * 330 + 2 * 295 + 295 + 35
    assert totals == {
        "sales": 31,
        "amount_minor": sold_minor,
        "given_back_minor": 70,
        "offline": 2,
        "served_anyway": 1,
        "declined": {
            "allergen_stop": 1,
            "insufficient_funds": 1,
            "not_ordered": 1,
            "second_meal": 1,
        },
        "items": {"meal-jacket": 5, "meal-pasta": 25, "milk": 19, "yoghurt": 2},
    }
    ordered = kitchen.values("kitchen", "orders", "meals", DAY)["orders"]
    assert ordered == [{"service": "lunch", "item": "meal-pasta", "ordered": 7, "collected": 7}]
    for command in (("orders",), ("sold",)):
        assert "lunch" in kitchen.command("kitchen", *command, "meals", DAY).stdout

    _check_counts(kitchen, context)
    _check_names(kitchen, context, funded)
    _check_recall(kitchen, context)
    with context.database.reading() as connection:
        assert equation(connection, "GBP").difference_minor == 0
    assert verify(context.database).is_clean


def _check_counts(kitchen: Kitchen, context: Context) -> None:
    """The census: by the command, and by postings."""
    counts = kitchen.values("funding", "counts", "meals", DAY, DAY)["counts"]
    told = {each["programme"]: (each["served"], each["pupils"], each["amount_minor"]) for each in counts}
    assert told["targeted"] == told["all"] == (5, 5, 5 * 260)
    assert told["expanded"] == (0, 0, 0)
    with context.database.reading() as connection:
        [row] = connection.execute(text(BY_POSTINGS))
    assert tuple(row) == ("scheme:subsidy:dfe:targeted", 5, 5 * 260)
    assert (
        "targeted (dfe, england): served 5, pupils 5, paid 13.00 GBP"
        in kitchen.command("funding", "counts", "meals", DAY, DAY).stdout
    )


def _check_names(kitchen: Kitchen, context: Context, funded: list[Card]) -> None:
    """Who is named needs a right of its own, and each question is noted, also one that is refused."""
    path = kitchen.folder / "list.csv"
    asked = ("funding", "names", "meals", "targeted", DAY, DAY, str(path))
    refused = kitchen.command(*asked)
    assert refused.exit_code == 1
    assert "may not see who is funded" in refused.stderr
    assert not path.exists()
    with context.database.reading() as connection:
        [noted] = connection.execute(select(audit).where(audit.c.action == "funding.names.refused"))
    assert kitchen.values(*asked, names=noted.actor)["lines"] == 5
    assert path.stat().st_mode & 0o777 == 0o600
    lines = path.read_text().splitlines()
    assert {line.split(",")[0] for line in lines[1:]} == {str(card.holder) for card in funded}
    assert all(line.endswith(f",{DAY},2.60,GBP") for line in lines[1:])
    # What stands there already is left alone.
    assert kitchen.command(*asked, names=noted.actor).exit_code == 1
    due = kitchen.values("funding", "due", "meals", "2027-06-01", names=noted.actor)["due"]
    assert len(due) == 5
    assert kitchen.values("funding", "due", "meals", "2027-05-31", names=noted.actor)["due"] == []
    with context.database.reading() as connection:
        actions = set(connection.scalars(select(audit.c.action)))
    assert {"funding.import", "funding.names", "funding.due"} <= actions


def _check_recall(kitchen: Kitchen, context: Context) -> None:
    """Who ate the yoghurt, the one that came back among them: told to who has that right alone."""
    asked = ("kitchen", "recall", "meals", "yoghurt", DAY, DAY)
    with context.database.reading() as connection:
        [actor] = set(connection.scalars(select(audit.c.actor).where(audit.c.action == "funding.names")))
    refused = kitchen.command(*asked, names=actor)
    assert refused.exit_code == 1
    assert "may not see who ate what" in refused.stderr
    eaters = kitchen.values(*asked, recall=actor)["eaters"]
    assert [(each["day"], each["service"], each["quantity"]) for each in eaters] == [(DAY, "lunch", 1)] * 2
    assert all(each["name"] for each in eaters)
    assert kitchen.values(*asked, "--recipe", "x", recall=actor)["eaters"] == []
    with context.database.reading() as connection:
        noted = connection.execute(select(audit).where(audit.c.action.like("kitchen.recall%"))).all()
    assert [(entry.action, entry.subject) for entry in noted] == [
        ("kitchen.recall.refused", "yoghurt"),
        ("kitchen.recall", "yoghurt"),
        ("kitchen.recall", "yoghurt"),
    ]
    # Each of them is told so; who reads the audit log is not told of whom it was.
    for holder in {each["cardholder"] for each in eaters}:
        with context.database.reading() as connection:
            told = [each.action for each in accesses(connection, CardholderId(UUID(holder))) if each.is_read]
        assert {"kitchen.recall", "funding.names"} & set(told)
        assert told.count("kitchen.recall") == 1
        assert holder not in {entry.subject for entry in noted}


def test_small_numbers_are_suppressed(kitchen: Kitchen) -> None:
    """Four are not told, and neither is a sum that they could be reckoned from."""
    four = [kitchen.council.card("pupil") for _ in range(4)]
    checks = kitchen.checks(*(f"{card.holder},council-extra,,2026-06-01,2027-06-01,x" for card in four))
    assert kitchen.command("funding", "import", "meals", str(checks)).exit_code == 0
    for card in four:
        assert kitchen.sell(card, {"meal-jacket": 1})[1].outcome == (200, "approved")
    counts = kitchen.values("funding", "counts", "meals", DAY, DAY)["counts"]
    extra = next(each for each in counts if each["programme"] == "council-extra")
    assert (extra["served"], extra["pupils"], extra["amount_minor"]) == (None, None, None)
    assert extra["suppressed"] is True
    assert "all" not in {each["programme"] for each in counts}
    assert (
        "council-extra (ashcombe, england): suppressed"
        in kitchen.command("funding", "counts", "meals", DAY, DAY).stdout
    )
    gone = kitchen.command("funding", "counts", "meals", "2026-03-01", DAY)
    assert gone.exit_code == 1
    assert "erased" in gone.stderr


def test_a_sum_of_all_does_not_tell_how_few_have_another(kitchen: Kitchen) -> None:
    """Six have one programme, five of whom have another, too: by the sum of all, one had the first alone."""
    six = [kitchen.council.card("pupil", top_up_minor=1000) for _ in range(6)]
    lines = [f"{card.holder},council-extra,,2026-06-01,2027-06-01,x" for card in six]
    lines += [f"{card.holder},targeted,,2026-06-01,2027-06-01,x" for card in six[:5]]
    assert kitchen.command("funding", "import", "meals", str(kitchen.checks(*lines))).exit_code == 0
    for card in six:
        assert kitchen.sell(card, PUDDING)[1].outcome == (200, "approved")
    counts = kitchen.values("funding", "counts", "meals", DAY, DAY)["counts"]
    told = {each["programme"]: each["pupils"] for each in counts}
    assert (told["council-extra"], told["targeted"]) == (6, 5)
    assert "all" not in told


def test_a_refund_gives_a_programme_its_day_back(kitchen: Kitchen) -> None:
    """Within the day alone at a till; the counter goes down by what went back to the programme."""
    [card] = [kitchen.council.card("pupil", top_up_minor=100)]
    checks = kitchen.checks(f"{card.holder},targeted,,2026-06-01,2027-06-01,x")
    assert kitchen.command("funding", "import", "meals", str(checks)).exit_code == 0
    sale, answer = kitchen.sell(card, PUDDING)
    assert answer.outcome == (200, "approved")
    assert kitchen.council.balances(card.payer) == (100 - 70, 0)

    def used() -> int:
        counters = kitchen.council.view(card.payer).counters
        return next(each.used for each in counters if each.rule == "meals.programme.targeted")

    def give_back(**what: Any) -> Reply:
        body = {"id": str(new_id()), "card": str(card.id), "sale": sale, **what}
        return kitchen.till.post("/v1/refunds", body)

    assert used() == 260
    # The pudding first: the family's own money. Then a part of the meal: the programme's.
    assert give_back(line=2).status == 200
    assert (used(), kitchen.council.balances(card.payer)) == (260, (100, 0))
    assert give_back(line=1, amount_minor=60).status == 200
    assert (used(), kitchen.council.balances(card.payer)) == (200, (100, 0))
    kitchen.council.clock.advance(days=1)
    late = give_back(line=1)
    assert late.outcome == (422, "refund_refused")
    assert "same day" in json.dumps(late.json)
    assert used() == 200
