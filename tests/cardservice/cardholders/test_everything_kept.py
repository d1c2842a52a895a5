"""What is kept of a person, table by table: told to whoever asks for it, and gone when they are erased.

Whoever adds a table that names a person decides both here. What is said to be told or erased is looked for in
what an export and an erasure send to the database.
"""

import importlib
import json
import pkgutil
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, Table, event, insert

import cardservice
from cardservice.accounts.models import account_closing
from cardservice.cardholders import details
from cardservice.cardholders.accesses import READS
from cardservice.cardholders.details import Noting
from cardservice.cardholders.erasure import erase_cardholder
from cardservice.cardholders.export import export_person
from cardservice.cardholders.export_words import ACTIONS, SECTIONS, Writing
from cardservice.cardholders.guardians import Days, May, add_guardian
from cardservice.cardholders.records import record_key
from cardservice.cardholders.sealing import Field
from cardservice.cards.models import card_uid, loss_report, temporary_card
from cardservice.circulation.models import member
from cardservice.database import metadata
from cardservice.funding.models import entitlement
from cardservice.ids import CardholderId
from cardservice.pupils.models import import_change, import_run
from cardservice.staff.agreeing import ask_many_revoked
from tests.support.council import ACTOR, Card, Council

# A table names a person by a key to one of these, or by a column of one of these names.
PEOPLE = {"cardholder", "card", "personalisation_order"}
NAMES = {"cardholder_id", "holder_id", "person_id", "child_id", "guardian_id", "card_id"}
# Those that name them as text among other things
BESIDE = {"certificate", "status_index", "audit", "quarantine", "second_person"}

TOLD = {
    *("account", "account_closing", "application", "audit", "bureau_item", "card", "card_activation"),
    *("card_state", "card_uid", "cardholder", "cardholder_payer", "certificate", "counter", "entitlement"),
    *("guardianship", "import_change", "lending_fine", "lending_history", "lending_hold", "lending_loan"),
    *("lending_member", "lending_payment", "loss_report", "payer_limit", "personalisation_order", "proof"),
    "quarantine",
    *("record_field", "record_read", "temporary_card"),
}
NOT_TOLD = {
    "cardholder_key": "it is a key; what is sealed under it is told",
    "cardholder_token": "keyed hashes of what is told, by which people are looked for",
    "second_person": "that somebody asked for many cards to be revoked; what came of it the card tells",
    "status_index": "a number drawn for a card, which is told with its chip",
}
ERASED = TOLD - {"account"} | set(NOT_TOLD)
NOT_ERASED = {
    "account": "it is the payer's, who is nobody's any more; value on a card keeps an erasure waiting",
}


def naming_tables() -> set[str]:
    """All tables of the service that name a person."""
    for module in pkgutil.walk_packages(cardservice.__path__, "cardservice."):
        if module.name.rpartition(".")[2].endswith("models"):
            importlib.import_module(module.name)
    return {table.name for table in metadata.tables.values() if _names_somebody(table)} | BESIDE


def _names_somebody(table: Table) -> bool:
    keyed = {key.column.table.name for key in table.foreign_keys} & PEOPLE
    return table.name == "cardholder" or bool(keyed) or bool(NAMES & set(table.columns.keys()))


@contextmanager
def sent() -> Iterator[list[str]]:
    """What is sent to whatever database within the block."""
    found: list[str] = []

    def notice(*said: Any) -> None:
        found.append(said[2])

    event.listen(Engine, "before_cursor_execute", notice)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", notice)


@pytest.fixture
def known(council: Council) -> Card:
    """Somebody's card, and a row in each table that is not filled by having one."""
    card, moment = council.card("child", form="Wren class"), council.clock()
    other, spare = council.card(), council.card()
    with council.context.database.begin() as connection:
        key = record_key(connection, council.kek, card.holder)
        noting = Noting(council.kek, card.holder, ACTOR, moment, council.zone)
        details.set_born_on(connection, noting, date(2018, 5, 1))
        add_guardian(connection, noting, other.holder, "parent", {May.SEE}, Days(moment.date()), 16)
        run = {"id": uuid4(), "school": "ashcombe", "file": "roll.csv", "sha256": b"", "actor": ACTOR}
        counts = {"at": moment, "joined": 0, "changed": 1, "departed": 0}
        day, later = moment.date(), moment + timedelta(days=1)
        rows: tuple[tuple[Table, dict[str, Any]], ...] = (
            (import_run, run | counts),
            (
                import_change,
                {
                    "run_id": run["id"],
                    "cardholder_id": card.holder,
                    "what": "changed",
                    "before": key.seal(Field.IMPORT, {"form": "Robin class"}),
                },
            ),
            (
                account_closing,
                {"cardholder_id": card.holder, "why": "asked", "begun_by": ACTOR, "stopped_at": moment},
            ),
            (
                loss_report,
                {
                    "card_id": card.id,
                    "told_at": moment,
                    "channel": "phone",
                    "verified": True,
                    "told_to": ACTOR,
                },
            ),
            (temporary_card, {"card_id": card.id, "acts_for": spare.id, "due_at": later}),
            (card_uid, {"card_id": card.id, "uid": b"\x04\xab", "status_index": 7, "recorded_at": moment}),
            (
                member,
                {
                    "cardholder_id": card.holder,
                    "barcode": "A17",
                    "keeps_history": False,
                    "joined_at": moment,
                },
            ),
            (
                entitlement,
                {
                    "cardholder_id": card.holder,
                    "id": uuid4(),
                    "service": "meals",
                    "programme": "free-meals",
                    "year": "",
                    "first_day": day,
                    "review_on": date(2030, 1, 1),
                    "recorded_at": moment,
                    "reference": "ECS-1",
                    "actor": ACTOR,
                },
            ),
        )
        ask_many_revoked(connection, [card.id, spare.id], "stolen", actor=ACTOR, moment=moment)
        for table, values in rows:
            connection.execute(insert(table).values(**values))
    return card


def exported(council: Council, holder: CardholderId) -> dict[str, Any]:
    """What the person is told."""
    with council.context.database.begin() as connection:
        return export_person(council.context, connection, holder, actor=ACTOR)


# What is sent is the same on each.
@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_each_table_that_names_a_person_is_told_or_says_why_not(council: Council, known: Card) -> None:
    assert naming_tables() == TOLD | set(NOT_TOLD)
    assert not TOLD & set(NOT_TOLD)
    with sent() as statements:
        exported(council, known.holder)
    read = {name for each in statements for name in re.findall(r"(?:FROM|JOIN) (\w+)", each)}
    assert read >= TOLD


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_each_table_that_names_a_person_is_erased_or_says_why_not(council: Council, known: Card) -> None:
    assert naming_tables() == ERASED | set(NOT_ERASED)
    assert not ERASED & set(NOT_ERASED)
    with sent() as statements:
        erase_cardholder(council.context, known.holder, actor=ACTOR)
    changed = {name for each in statements for name in re.findall(r"^(?:DELETE FROM|UPDATE) (\w+)", each)}
    assert ERASED - {"lending_loan"} <= changed
    # A thing on loan keeps an erasure waiting until it is back, and then there is no row.
    assert "lending_loan" in {name for each in statements for name in re.findall(r"FROM (\w+)", each)}


def test_what_is_told_is_said_in_plain_words(council: Council, known: Card) -> None:
    told = exported(council, known.holder)
    [one] = told["cards"]
    assert one["told_as_lost"] == [
        {
            "told_at": council.clock().isoformat(),
            "by": "phone",
            "caller": "who told it had answered what the record says",
        }
    ]
    [made] = one["made"]
    assert (made["what"], made["where"]) == ("made", "at a desk")
    [chip] = one["chip"]
    assert (chip["number"], len(one["stands_in_for"]), len(one["certificates"])) == ("04ab", 1, 1)
    [imported] = told["imports"]
    assert (imported["what"], imported["before"]) == ("was changed", {"form": "Robin class"})
    assert [each["programme"] for each in told["programmes"]] == ["free-meals"]
    assert told["account_closing"]["why"] == "it was asked for"
    [guardian] = told["guardians"]
    assert (guardian["other_person"], guardian["relation"]) == ("left out", "parent")
    assert ACTOR not in json.dumps(told)
    lines = "\n".join(Writing(council.zone, "GBP", "photo.jpg").lines(told))
    for words in (
        "caller: who told it had answered",
        "why: it was asked for",
        "school: ashcombe",
        "born on: 1 May 2018",
        "balance: 0.00 GBP",
        # An hour later than in UTC
        "15 June 2026, 11:00: staff changed your record (born on)",
        "15 June 2026, 11:00: staff wrote down for you all that is kept of you",
    ):
        assert words in lines
    assert not re.search(r"[{}\[\]]|_minor|T\d\d:", lines)


def test_each_part_and_each_read_has_words(council: Council, known: Card) -> None:
    told = exported(council, known.holder)
    assert told.keys() - {"format", "scheme", "made_at", "cardholder"} == SECTIONS.keys()
    assert ACTIONS.keys() >= READS
