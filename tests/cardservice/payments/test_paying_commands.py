"""`cardservice payment` with a provider and `cardservice settlement`, as an administrator runs them."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cardservice.cli import main
from cardservice.context import Context
from cardservice.errors import OrderInvalid
from cardservice.ids import TransactionId
from cardservice.ledger.verify import verify
from cardservice.payments.redeeming import approve, redeem
from kiosk.pay_stand_in import Pay
from tests.cardservice.conftest import PASSPHRASE
from tests.cardservice.payments.pay import RETURN_URL, difference, served
from tests.support.council import Council


def run(context: Context, url: str, key: Path, *arguments: str) -> Result:
    """The command in this process."""
    settings = {
        "CARDSERVICE_MODE": "development",
        "CARDSERVICE_DATABASE_URL": context.settings.database_url,
        "CARDSERVICE_PKI_DIR": str(context.settings.pki_dir),
        "CARDSERVICE_PASSPHRASE": PASSPHRASE.decode(),
        "CARDSERVICE_PUBLIC_ORIGIN": context.settings.public_origin,
        "CARDSERVICE_PAY_URL": url,
        "CARDSERVICE_PAY_KEY_FILE": str(key),
    }
    return CliRunner().invoke(main, [*arguments], env=settings)


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_from_paying_to_the_bank_and_back(context: Context, council: Council, tmp_path: Path) -> None:
    """Begun, captured, settled, redeemed; what needs a person is listed, and closed."""
    pay, key, card = Pay(), tmp_path / "key", council.card(top_up_minor=300)
    key.write_text(f"{pay.key}\n")
    with served(pay) as provider:

        def said(*arguments: str) -> dict[str, Any]:
            result = run(context, provider.url, key, *arguments, "--json")
            assert result.exit_code == 0, result.output
            values: dict[str, Any] = json.loads(result.stdout)
            return values

        begun = said("payment", "start", str(card.holder), "20.00", "--return-url", RETURN_URL)
        assert begun["next_url"].startswith("http")
        pay.move(begun["provider_payment"], "success")
        assert said("payment", "show", begun["payment"])["state"] == "success"
        assert said("payment", "cancel", begun["payment"])["state"] == "success"
        assert [each["state"] for each in said("payment", "list")["payments"]] == ["success"]
        assert said("payment", "refund", begun["payment"], "1.50")["state"] == "success"
        day = tmp_path / "day.csv"
        day.write_text(
            "type,reference,settled_on,gross,fee,currency\n"
            f"payment,{begun['provider_payment']},2026-06-18,20.00,0.30,GBP\n"
            "payment,nobodys,2026-06-18,1.00,0.00,GBP\n"
        )
        assert said("settlement", "load", str(day))["states"] == {"matched": 1, "unknown": 1}
        assert said("settlement", "match") == {"known": 0}
        report = said("settlement", "report")
        assert (report["bank_minor"], report["fees_minor"], report["difference_minor"]) == (2000, 30, 0)
        redeemed = said("payment", "redeem", str(card.payer))
        assert [each["amount_minor"] for each in redeemed["refunds"]] == [1850]
        assert redeemed["payout_minor"] == 300
        mine = run(context, provider.url, key, "payment", "approve", redeemed["payout"])
        assert (mine.exit_code, "another person" in mine.stderr) == (1, True)
        listed = said("payment", "exceptions")["exceptions"]
        assert [each["kind"] for each in listed] == ["settlement_unknown", "payout_wanted"]
        for each in listed:
            said("payment", "close", str(each["number"]), "--reason", "seen to")
        assert said("payment", "exceptions") == {"exceptions": []}
        assert said("settlement", "report")["difference_minor"] == 0


def test_a_bank_transfer_takes_two_people(context: Context, council: Council) -> None:
    card = council.card(top_up_minor=300)
    done = redeem(context, None, card.payer, 200, actor="ann")
    assert done.payout is not None
    with pytest.raises(OrderInvalid):
        approve(context, done.payout, actor="ann")
    for _ in range(2):
        assert approve(context, TransactionId(done.payout), actor="ben") == 200
    assert council.balances(card.payer) == (100, 0)
    assert difference(context) == 0
    assert verify(context.database).is_clean
