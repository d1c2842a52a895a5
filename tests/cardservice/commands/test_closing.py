"""Closing the ledger from the command line, by the days of the service's own clock."""

import json
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from cardservice.authorisation.tree_heads import TreeHeads
from cardservice.context import Context
from cardservice.ledger.closing.seals import seal_days
from cardservice.ledger.closing.sequencing import Calendar
from cardservice.ledger.payers import create_payer
from cardservice.ledger.posting import post
from cardservice.ledger.verify import verify
from pki.errors import PkiError
from pki.statements import open_tree_head, sign_tree_head
from tests.cardservice.commands.test_commands import Run, council, environment, new_scheme, ok, run, scheme
from tests.cardservice.ledger.postings import MOMENT, topup

__all__ = ["council", "environment", "new_scheme", "run", "scheme"]


def test_numbers_seals_and_heads(council: Run) -> None:
    holder = ok(council("cardholder", "add", "Morgan Reed", "--json"))["cardholder"]
    ok(council("topup", holder, "20.00", "--json"))
    assert ok(council("ledger", "sequence", "--json")) == {"numbered": 1}
    assert ok(council("ledger", "seal", "--json")) == {"sealed": []}
    assert json.loads(council("ledger", "heads").output) == {"heads": []}
    refused = council("ledger", "seal", "--day", "2999-01-01")
    assert refused.exit_code == 1
    assert "not over" in refused.output
    assert ok(council("ledger", "begin-epoch", "--reason", "restored", "--json")) == {"epoch": 1}
    for whole in ((), ("--whole",)):
        report = ok(council("ledger", "verify", "--json", *whole))
        assert (report["since"], report["transactions"], report["findings"]) == (None, 1, [])


def test_heads_are_read_by_the_services_certificate(context: Context) -> None:
    with context.database.begin() as connection:
        payer = create_payer(connection, "person", "GBP", MOMENT)
    post(context.database, [topup(payer, 0, 500)])
    days = Calendar(ZoneInfo("Europe/London"), MOMENT + timedelta(days=1))
    [first, *_] = seal_days(context.database, days, "ashcombe", context.keys)
    assert TreeHeads(context)(first.signed).root == first.root
    report = verify(
        context.database, check_head=TreeHeads(context), check_tombstone=TreeHeads(context).tombstone
    )
    assert (report.findings, report.leaves_checked) == ((), 1)
    with pytest.raises(PkiError):
        TreeHeads(context)(first.signed[:-1] + bytes([first.signed[-1] ^ 1]))
    stranger = ec.generate_private_key(ec.SECP256R1())
    head = open_tree_head(first.signed, context.keys.answer_key.public_key(), "ashcombe")
    with pytest.raises(LookupError, match="not on record"):
        TreeHeads(context)(sign_tree_head(head, stranger, bytes(32)))
    with pytest.raises(PkiError):
        TreeHeads(context)(sign_tree_head(head, stranger, context.keys.answer_certificate_sha256))
