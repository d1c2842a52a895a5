"""`cardservice limit`, as an administrator runs it."""

import json

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from cardservice.audit.models import audit
from cardservice.cli import main
from cardservice.context import Context
from cardservice.services.limits import LIFTED
from tests.cardservice.conftest import PASSPHRASE
from tests.support.council import Card, Council


@pytest.fixture
def card(council: Council) -> Card:
    """A card of somebody who pays for themself."""
    return council.card("pupil")


def run(context: Context, *arguments: str) -> Result:
    """The command in this process, with settings from its environment."""
    settings = {
        "CARDSERVICE_MODE": "development",
        "CARDSERVICE_DATABASE_URL": context.settings.database_url,
        "CARDSERVICE_PKI_DIR": str(context.settings.pki_dir),
        "CARDSERVICE_PASSPHRASE": PASSPHRASE.decode(),
        "CARDSERVICE_PUBLIC_ORIGIN": context.settings.public_origin,
    }
    return CliRunner().invoke(main, ["limit", *arguments], env=settings)


@pytest.mark.parametrize(("amount", "amount_minor"), [("3.50", 350), ("0", 0)])
def test_a_limit_is_set_from_now_on(
    context: Context, council: Council, card: Card, amount: str, amount_minor: int
) -> None:
    """The payer's version changes, and the audit trail says who did it, without the amount."""
    before = council.view(card.payer)
    result = run(context, "set", str(card.holder), "meals.day", amount, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {
        "cardholder": str(card.holder),
        "payer": str(card.payer),
        "rule": "meals.day",
        "shared": False,
        "amount_minor": amount_minor,
        "currency": "GBP",
    }
    after = council.view(card.payer)
    [limit] = after.limits
    assert (limit.cardholder_id, limit.rule, limit.amount_minor) == (card.holder, "meals.day", amount_minor)
    assert limit.valid_from == limit.recorded_at
    assert after.version > before.version
    with context.database.reading() as connection:
        [noted] = connection.execute(select(audit).where(audit.c.action == "limit.set"))
    assert (noted.subject, noted.detail) == (str(card.holder), {"rule": "meals.day", "shared": False})


def test_a_limit_for_all_of_a_payer(context: Context, council: Council, card: Card) -> None:
    """It names no cardholder."""
    result = run(context, "set", str(card.holder), "meals.day", "8.00", "--shared")
    assert result.stdout == f"All of payer {card.payer}: meals.day at most 8.00 GBP from now on.\n"
    assert council.view(card.payer).limits[0].cardholder_id is None


def test_a_limit_is_lifted(context: Context, council: Council, card: Card) -> None:
    """From now on; what it was is kept, and the trail says that it was lifted."""
    assert run(context, "set", str(card.holder), "meals.day", "0").exit_code == 0
    before = council.view(card.payer)
    lifted = run(context, "lift", str(card.holder), "meals.day")
    assert lifted.stdout == f"{card.holder}: meals.day without a limit from now on.\n"
    after = council.view(card.payer)
    assert after.version > before.version
    assert [limit.amount_minor for limit in after.limits] == [0, LIFTED]
    with context.database.reading() as connection:
        noted = connection.scalars(select(audit.c.action).where(audit.c.action.like("limit.%"))).all()
    assert list(noted) == ["limit.set", "limit.lift"]
    assert run(context, "lift", str(card.holder), "meals.week").exit_code == 1


@pytest.mark.parametrize(
    ("rule", "amount", "reason"),
    [
        ("meals.week", "3.50", "'meals.week' cannot be limited; there are leisure.day"),
        ("meals.day", "-1", "'-1' is below zero"),
        ("meals.day", "3,50", "'3,50' is not a decimal amount like 4.00"),
        ("meals.day", "3.505", "has more than the 2 decimal places of GBP"),
    ],
)
def test_refused(context: Context, council: Council, card: Card, rule: str, amount: str, reason: str) -> None:
    """One sentence, exit status 1, and nothing is set."""
    result = run(context, "set", "--", str(card.holder), rule, amount)
    assert (result.exit_code, reason in result.stderr) == (1, True), result.stderr
    assert council.view(card.payer).limits == ()


def test_a_cardholder_that_is_not_there(context: Context, council: Council, card: Card) -> None:
    """A card's id is no cardholder's."""
    result = run(context, "set", str(card.id), "meals.day", "3.50")
    assert (result.exit_code, result.stderr) == (1, f"cardservice: no cardholder {card.id}\n")


def test_what_can_be_limited(context: Context, council: Council) -> None:
    """Each rule with what it limits."""
    assert run(context, "rules").stdout.splitlines() == [
        "leisure.day: what is spent on leisure in a day",
        "library.day: what is spent on library in a day",
        "meals.day: what is spent at school in a day",
        "meals.service.*: what is spent at one service, such as lunch, in a day",
        "meals.item.*: how many pieces of an item are bought in a day; 0 blocks it",
        "parking.day: what is spent on parking in a day",
        "transport.day: what is spent on transport in a day",
    ]
