"""`cardservice payer` and `cardservice payment`, as an administrator runs them."""

import json
from datetime import timedelta
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from cardservice.audit.models import audit
from cardservice.cli import main
from cardservice.context import Context
from cardservice.ids import PayerId, new_id
from cardservice.payments.service import TopUp, top_up
from tests.cardservice.conftest import PASSPHRASE
from tests.support.council import Card, Council

# What the commands call is tested on both databases; opening the scheme's keys for each takes its time.
pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


@pytest.fixture
def card(council: Council) -> Card:
    """A card of somebody who pays for themself, with 20.00."""
    return council.card("pupil", top_up_minor=2000)


def run(context: Context, *arguments: str) -> Result:
    """The command in this process, with settings from its environment; its clock is the machine's."""
    settings = {
        "CARDSERVICE_MODE": "development",
        "CARDSERVICE_DATABASE_URL": context.settings.database_url,
        "CARDSERVICE_PKI_DIR": str(context.settings.pki_dir),
        "CARDSERVICE_PASSPHRASE": PASSPHRASE.decode(),
        "CARDSERVICE_PUBLIC_ORIGIN": context.settings.public_origin,
    }
    return CliRunner().invoke(main, [*arguments], env=settings)


def said(context: Context, *arguments: str) -> dict[str, Any]:
    """What a command that succeeds says to a script."""
    result = run(context, *arguments, "--json")
    assert result.exit_code == 0, result.output
    values: dict[str, Any] = json.loads(result.stdout)
    return values


def test_a_family_takes_over(context: Context, council: Council, card: Card) -> None:
    """From a later moment on, with what there was, and it is never backdated."""
    family = said(context, "payer", "add")["payer"]
    begins = (council.clock() + timedelta(days=3650)).isoformat(timespec="seconds")
    assert said(context, "payer", "assign", str(card.holder), family, "--from", begins)["from"] == begins
    past = run(context, "payer", "assign", str(card.holder), family, "--from", "2020-01-01T00:00+00:00")
    assert past.exit_code == 1
    assert "before now" in past.stderr
    history = said(context, "payer", "history", str(card.holder))["payers"]
    assert [(each["payer"], each["until"]) for each in history] == [(str(card.payer), begins), (family, None)]
    moved = said(context, "payer", "carry-over", str(card.payer), family)
    assert (moved["amount_minor"], council.balances(card.payer)) == (2000, (0, 0))
    shown = said(context, "payer", "show", family)
    assert {each["account"]: each["amount_minor"] for each in shown["accounts"]}["payer:prepaid"] == 2000
    assert [each["cardholder"] for each in shown["cardholders"]] == [str(card.holder)]
    assert "pays for" in run(context, "payer", "show", family).stdout
    with context.database.reading() as connection:
        noted = connection.execute(select(audit.c.action).where(audit.c.action.like("payer.%"))).scalars()
        assert set(noted) == {"payer.add", "payer.assign", "payer.carry_over", "payer.history", "payer.show"}


def test_goodwill_and_payments_taken_back(context: Context, council: Council, card: Card) -> None:
    payment = TopUp(card.holder, 500, "card")
    top_up(context, payment, actor="test")
    own_id = str(new_id())
    for _ in range(2):
        said(context, "payer", "goodwill", str(card.payer), "1.50", "--id", own_id)
        said(context, "payment", "repay", str(payment.id), "1.00", "--reference", "pay", "r-1")
        said(context, "payment", "chargeback", str(payment.id), "4.00", "--reference", "pay", "d-1")
    assert council.balances(card.payer) == (2000 + 150, 0)
    more = run(context, "payment", "repay", str(payment.id), "0.01")
    assert (more.exit_code, more.stderr) == (1, "cardservice: That is more than is left of the payment.\n")


def test_nobody_is_said_so(context: Context, council: Council) -> None:
    nobody = PayerId(new_id())
    for arguments in (("show", str(nobody)), ("goodwill", str(nobody), "1.00")):
        result = run(context, "payer", *arguments)
        assert (result.exit_code, result.stderr) == (
            1,
            f"cardservice: no payer {nobody}; `cardservice payer history` names those of a person\n",
        )
    same = run(context, "payer", "carry-over", str(nobody), str(nobody))
    assert "from one payer to another" in same.stderr
