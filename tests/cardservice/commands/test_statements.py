"""`cardservice payer statement`: in words, for a script and for a spreadsheet; who read it is on record."""

import csv
import io
import json

import pytest
from sqlalchemy import insert, select

from cardservice.audit.models import audit
from cardservice.commands.statements import harmless
from cardservice.context import Context
from cardservice.ledger.posting import post
from cardservice.providers.models import provider
from tests.cardservice.commands.test_payers import card, run, said
from tests.cardservice.ledger.postings import sale, view_of
from tests.support.council import Card

__all__ = ["card"]
# What the command calls is tested on both databases; opening the scheme's keys for each takes its time.
pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
DAYS = ("--from", "2026-01-01", "--to", "2099-12-31")


def test_a_statement_for_people_scripts_and_spreadsheets(context: Context, card: Card) -> None:
    with context.database.begin() as connection:
        connection.execute(insert(provider).values(id="buses", name='=1+1, "Buses"'))
    said(context, "ledger", "sequence")
    version = view_of(context.database, card.payer).version
    post(context.database, [sale(card.payer, version, 240, action="+single")])
    person = ("payer", "statement", "--cardholder", str(card.holder), *DAYS)

    values = said(context, *person)

    assert values == said(context, "payer", "statement", str(card.payer), *DAYS)
    assert [line["what"] for line in values["lines"]] == ["paid in"]
    assert values["closing"] == {"prepaid_minor": 2000, "arrears_minor": 0}
    [waiting] = values["not_settled_yet"]
    assert (waiting["moved"]["prepaid_minor"], waiting["balance"]) == (-240, None)
    words = run(context, *person).stdout
    assert "closing balance: 20.00 GBP" in words
    assert 'transport: +single, =1+1, "Buses": -2.40 GBP' in words.partition("Not settled yet:")[2]
    table = run(context, *person, "--csv")
    assert table.exit_code == 0, table.output
    rows = list(csv.DictReader(io.StringIO(table.stdout)))
    assert [row["what"] for row in rows] == [
        *("opening balance", "paid in", "closing balance", "transport: +single")
    ]
    assert (rows[3]["provider"], rows[3]["prepaid"], rows[3]["settled_on"]) == (
        *('\'=1+1, "Buses"', "-2.40"),
        "not settled yet",
    )
    with context.database.reading() as connection:
        noted = connection.execute(select(audit).where(audit.c.action == "payer.statement")).all()
    assert [row.subject for row in noted] == [
        *(str(card.holder), str(card.payer), str(card.holder), str(card.holder))
    ]
    # Once a person is erased, no note may lead from them to their payer.
    assert str(card.payer) not in json.dumps([row.detail for row in noted])


def test_what_is_asked_wrongly_is_one_sentence(context: Context, card: Card) -> None:
    for arguments, sentence in (
        (DAYS, "name a payer"),
        ((str(card.payer), "--cardholder", str(card.holder), *DAYS), "one of them"),
        ((str(card.holder), *DAYS), "no payer"),
        ((str(card.payer), "--from", "2026-02-01", "--to", "2026-01-01"), "before"),
        ((str(card.payer), *DAYS, "--csv", "--json"), "choose"),
    ):
        result = run(context, "payer", "statement", *arguments)
        assert result.exit_code == 1, result.output
        assert sentence in result.stderr


@pytest.mark.parametrize(
    "text", ["=1+1", "+44", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\uff1d1", "\u00a0=1"]
)
def test_no_cell_is_a_formula(text: str, database_kind: str) -> None:
    del database_kind
    assert harmless(text) == f"'{text}"
    assert harmless(f"a{text}") == f"a{text}"
