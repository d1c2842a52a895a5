"""Erase a person: the books balance, proofs are accounted for, ids are refused, nothing links to them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import ProgrammingError

from cardservice.audit.models import audit
from cardservice.authorisation.export import export_proof, fault_of_proof
from cardservice.cardholders.erasure import erase_cardholder, plan_erasure
from cardservice.cardholders.models import cardholder
from cardservice.cardholders.service import NewCardholder, add_cardholder, set_photo
from cardservice.cli import main
from cardservice.database import Database, connect, metadata
from cardservice.errors import CardholderUnknown, ErasureRefused, OrderInvalid
from cardservice.ids import ProviderId, TransactionId
from cardservice.ledger.errors import ProofErased
from cardservice.ledger.limits import NewLimit, set_limit
from cardservice.ledger.models import ledger_transaction, transaction_details, transfer
from cardservice.ledger.payers import assign_payer, create_payer
from cardservice.ledger.privacy import find_key
from cardservice.ledger.rating_days import rate
from cardservice.ledger.ratings import Rating, Share, Subject
from cardservice.ledger.verify import verify
from cardservice.pki_store.store import DatabaseCertificateStore
from cardservice.staff.acting import Acting
from cardservice.staff.agreeing import agree, ask_many_revoked
from pki.auditing import audit as audit_authority
from pki.statements import TransactionStatement
from tests.cardservice.conftest import PASSPHRASE
from tests.support.council import (
    ACTOR,
    FARE_MINOR,
    Card,
    Council,
    Terminal,
    advice_of,
    annulment,
    message,
    new_id,
    request_for,
)
from tests.support.databases import DatabaseUrls

URL = "/v1/authorisations"
PHOTO = b"\xff\xd8 a face \xff\xd9"


@dataclass(frozen=True, slots=True)
class Life:
    """A person with a card's whole life behind them."""

    council: Council
    bus: Terminal
    card: Card
    sent: tuple[dict[str, Any], ...]
    statements: tuple[TransactionStatement, ...]


@pytest.fixture
def life(council: Council) -> Life:
    """Sales, a decline, an advice, an annulment, a limit, a photo, allergens; in the end no money left."""
    bus = council.terminal("bus-12")
    card = council.card("adult", top_up_minor=2 * FARE_MINOR + 120, form="Wren class", allergens=["nuts"])
    with council.context.database.begin() as connection:
        set_photo(
            connection,
            council.kek,
            card.holder,
            PHOTO,
            actor=ACTOR,
            moment=council.clock(),
        )
        limit = NewLimit(card.payer, card.holder, "meals.day", 300)
        set_limit(connection, limit, council.clock(), council.clock())
    first, wrong, told = request_for(bus, card), request_for(bus, card, amount_minor=1), advice_of(bus, card)
    undone = request_for(bus, card)
    sent = (
        *(message(statement, card) for statement in (first, wrong, undone)),
        annulment(bus, card, undone.id),
        message(told, card),
    )
    for body in sent:
        assert bus.post(URL, body).status == 200
    # A day that was rated twice: the second follows the first.
    with council.context.database.reading() as connection:
        key = find_key(connection, card.holder)
    assert key is not None
    subject = Subject(card.payer, key.id, "transport", council.clock().date())
    for price_minor, taps in ((100, 1), (120, 2)):
        shares = (Share(ProviderId("vale-buses"), price_minor),)
        tapped = tuple(TransactionId(new_id()) for _ in range(taps))
        rated = Rating(subject=subject, shares=shares, taps=tapped, tariff_version="t1", unit="GBP")
        assert rate(council.context.database, rated, council.clock()) is not None
    assert council.balances(card.payer) == (0, 0)
    return Life(council, bus, card, sent, (first, wrong, undone, told))


def dumped(database: Database) -> Iterator[tuple[str, str]]:
    """Every value of every table, as text in lower case, bytes also as hexadecimal; with where it stands."""
    with database.reading() as connection:
        for table in metadata.sorted_tables:
            for row in connection.execute(select(table)):
                for column, value in zip(table.columns, row, strict=True):
                    where = f"{table.name}.{column.name}"
                    if isinstance(value, bytes):
                        yield where, value.hex()
                        yield where, value.decode("latin-1").lower()
                    else:
                        yield where, str(value).lower()


def places(database: Database, *wanted: str) -> set[str]:
    """Where any of these stands."""
    return {where for where, text in dumped(database) if any(each.lower() in text for each in wanted)}


def names_of(card: Card) -> tuple[str, ...]:
    """All that leads to a person: name, cardholder, and the card's GUID with its certificate."""
    return (
        *("morgan reed", "wren class", PHOTO.hex()),
        *(form for identity in (card.holder, card.id) for form in (str(identity), identity.hex)),
        card.certificate.hex(),
    )


def test_nothing_links_to_the_person(life: Life, owner_database: Database) -> None:
    """Every table is searched, as its owner sees it: before, to know that the search finds; and after."""
    context, card = life.council.context, life.card
    names = names_of(card)
    before = places(owner_database, *names)
    assert {
        "record_field.cardholder_id",
        "card.id",
        "certificate.identity",
        "certificate.der",
        "audit.subject",
    } <= before
    assert {
        "cardholder_key.cardholder_id",
        "cardholder_token.cardholder_id",
        "payer_limit.cardholder_id",
    } <= before
    assert "cardholder_key.cardholder_id" in before
    # The rows that are never changed name nobody to begin with.
    assert not {
        where for where in before if where.startswith(("ledger_transaction", "transfer", "transaction_"))
    }
    rows = _count(owner_database)
    plan = erase_cardholder(context, card.holder, actor=ACTOR)
    assert (len(plan.cards), plan.transactions, plan.details) == (1, 8, 5)
    assert places(owner_database, *names) == set()
    assert _count(owner_database) == rows
    with owner_database.reading() as connection:
        assert connection.execute(select(func.count()).select_from(transaction_details)).scalar_one() == 0
    with pytest.raises(CardholderUnknown):
        erase_cardholder(context, card.holder, actor=ACTOR)


def test_the_books_balance_and_ids_stay_refused(life: Life, tmp_path: Any) -> None:
    """Verification counts erased proofs by their day; every message of the card is told so."""
    context, council = life.council.context, life.council
    statement = life.statements[0]
    erase_cardholder(context, life.card.holder, actor=ACTOR)
    report = verify(context.database, lambda *found: fault_of_proof(context, *found))
    assert (report.findings, report.proofs_erased) == ((), 4)
    assert dict(report.erased_on) == {council.clock().date(): 4}
    for body in life.sent:
        assert life.bus.post(URL, body).outcome == (410, "erased")
    # A new message of the card takes no id either.
    assert life.bus.post(URL, message(request_for(life.bus, life.card), life.card)).outcome == (410, "erased")
    with pytest.raises(ProofErased, match=f"erased on {council.clock().date()}"):
        export_proof(context, statement.id, tmp_path / "proof")
    with context.database.begin() as connection:
        issuers = {name: context.certificates[name] for name in context.pki.issuers("cards")}
        found = audit_authority(DatabaseCertificateStore(connection), "cards", issuers)
        assert (found.certificates, found.revoked) == (1, 1)
        actions = [(row.action, row.subject) for row in connection.execute(select(audit))]
    subject = next(subject for action, subject in actions if action == "cardholder.erase")
    assert subject.startswith("erased:")
    assert ("cardholder.add", subject) in actions


def test_of_a_family_the_others_stay(council: Council, owner_database: Database) -> None:
    """What a brother bought stays as it was; what the erased child bought is a sum and an id."""
    bus = council.terminal("bus-12")
    ada, ben = council.card(), council.card()
    council.clock.advance(seconds=1)
    now = council.clock()
    with council.context.database.begin() as connection:
        family = create_payer(connection, "family", "GBP", now)
        for child in (ada, ben):
            assign_payer(connection, child.holder, family, now, now)
    council.top_up(ada, 1_000)
    hers, his, undone = request_for(bus, ada), request_for(bus, ben), request_for(bus, ada)
    for body in (message(hers, ada), message(his, ben), message(undone, ada), annulment(bus, ada, undone.id)):
        assert bus.post(URL, body).status == 200
    with pytest.raises(ErasureRefused) as refused:
        erase_cardholder(council.context, ada.holder, actor=ACTOR)
    assert refused.value.reason == "family_pays"
    council.clock.advance(seconds=1)
    now = council.clock()
    with council.context.database.begin() as connection:
        alone = create_payer(connection, "person", "GBP", now)
        assign_payer(connection, ada.holder, alone, now, now)
    plan = erase_cardholder(council.context, ada.holder, actor=ACTOR)
    assert (plan.transactions, plan.details) == (3, 3)
    hers_alone = (str(ada.holder), ada.holder.hex, str(ada.id), ada.id.hex, ada.certificate.hex())
    assert places(owner_database, *hers_alone) == set()
    assert bus.post(URL, message(his, ben)).json["repeated"] is True
    assert bus.post(URL, message(request_for(bus, ben), ben)).outcome == (200, "approved")
    report = verify(council.context.database, lambda *found: fault_of_proof(council.context, *found))
    assert (report.findings, report.proofs_checked, report.proofs_erased) == ((), 4, 2)


def test_what_somebody_asked_for_of_many_cards_goes_on_without_the_persons(council: Council) -> None:
    """Many are to be revoked, and one of them is of somebody who is erased meanwhile."""
    gone, others = council.card(), [council.card(), council.card()]
    moment = council.clock()
    with council.context.database.begin() as connection:
        cards = [others[0].id, gone.id, others[1].id]
        asked = ask_many_revoked(connection, cards, "stolen", actor="cli:ida", moment=moment)
        alone = ask_many_revoked(connection, [gone.id], "stolen", actor="cli:ida", moment=moment)
    erase_cardholder(council.context, gone.holder, actor=ACTOR)
    assert places(council.context.database, str(gone.id), gone.id.hex) == set()
    assert agree(council.context, asked.id, Acting(ACTOR)).cards == 2
    assert agree(council.context, alone.id, Acting(ACTOR)).cards == 0


def test_money_stands_against_it(council: Council) -> None:
    """What somebody has, or owes, is settled first; nothing is changed by being refused."""
    card = council.card(top_up_minor=100)
    with pytest.raises(ErasureRefused) as refused:
        erase_cardholder(council.context, card.holder, actor=ACTOR)
    assert refused.value.reason == "balance_open"
    with council.context.database.reading() as connection:
        plan = plan_erasure(connection, card.holder, council.clock())
    assert (len(plan.cards_to_revoke), [each.reason for each in plan.objections]) == (1, ["balance_open"])


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_the_role_that_erases_can_do_nothing_else(database_urls: DatabaseUrls) -> None:
    """Least of all with what the books are made of."""
    eraser = connect(database_urls.eraser)
    for statement in (
        "DELETE FROM ledger_transaction",
        "DELETE FROM transfer",
        "DELETE FROM transaction_proof",
        "UPDATE ledger_transaction SET reason = 'other'",
        "UPDATE account SET balance = 0",
        "UPDATE certificate SET revoked_at = NULL",
        "UPDATE audit SET action = 'other'",
        "DELETE FROM audit",
    ):
        with pytest.raises(ProgrammingError, match="permission denied"), eraser.begin() as connection:
            connection.exec_driver_sql(statement)
    eraser.dispose()


def test_the_command(life: Life, database_urls: DatabaseUrls) -> None:
    """It says what would go, asks, and does not ask a script."""
    settings = life.council.context.settings
    environment = {
        "CARDSERVICE_MODE": "development",
        "CARDSERVICE_DATABASE_URL": settings.database_url,
        "CARDSERVICE_ERASURE_DATABASE_URL": database_urls.eraser,
        "CARDSERVICE_PKI_DIR": str(settings.pki_dir),
        "CARDSERVICE_PASSPHRASE": PASSPHRASE.decode(),
        "CARDSERVICE_PUBLIC_ORIGIN": settings.public_origin,
    }
    erase = ["cardholder", "erase", str(life.card.holder)]
    dry = CliRunner().invoke(main, [*erase, "--dry-run"], env=environment)
    assert (dry.exit_code, "8 transactions, 5 of them with details" in dry.output) == (0, True), dry.output
    assert CliRunner().invoke(main, [*erase, "--json"], env=environment).exit_code == 1
    assert CliRunner().invoke(main, erase, input="n\n", env=environment).exit_code == 1
    with life.council.context.database.reading() as connection:
        assert connection.execute(select(cardholder.c.id)).all()
    done = CliRunner().invoke(main, erase, input="y\n", env=environment)
    assert done.exit_code == 0, done.output
    with life.council.context.database.reading() as connection:
        assert not connection.execute(select(cardholder.c.id)).all()


def test_a_name_is_a_line_of_text(council: Council) -> None:
    """What would break a terminal or a receipt is refused."""
    context = council.context
    for name in ("", " A", "A\nB", "A\x1b[2J", "A" * 201):
        new, kek = NewCardholder(name, "adult"), context.keys.cardholder_kek
        with pytest.raises(OrderInvalid, match="is no name"), context.database.begin() as connection:
            add_cardholder(connection, new, "GBP", kek, actor=ACTOR, moment=council.clock())


def _count(database: Database) -> list[int]:
    def of(connection: Connection, table: Any) -> int:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())

    with database.reading() as connection:
        return [of(connection, table) for table in (ledger_transaction, transfer)]
