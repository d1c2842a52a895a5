"""A stored proof: anyone can check it with `openssl` alone, and `ledger verify` finds what was changed."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from sqlalchemy import text

from cardservice.authorisation.export import export_proof, fault_of_proof
from cardservice.errors import OrderInvalid, TransactionUnknown
from cardservice.ids import TransactionId
from cardservice.ledger.privacy import destroy_key
from cardservice.ledger.verify import verify
from tests.cardservice.ledger.test_verify import unguarded
from tests.support.council import Council, Terminal, advice_of, annulment, message, new_id, request_for
from tests.support.databases import DatabaseUrls

URL = "/v1/authorisations"
DOCS = Path(__file__).parents[3] / "docs"


@pytest.fixture
def bus(council: Council) -> Terminal:
    """A validator."""
    return council.terminal("bus-12")


@pytest.fixture
def exported(council: Council, bus: Terminal, tmp_path: Path) -> Path:
    """The proof of a fare."""
    card = council.card(top_up_minor=2000)
    statement = request_for(bus, card)
    assert bus.post(URL, message(statement, card)).status == 200
    council.clock.advance(days=400)
    files = export_proof(council.context, statement.id, tmp_path / "proof")
    assert {path.name for path in files} == {path.name for path in (tmp_path / "proof").iterdir()}
    return tmp_path / "proof"


def shell(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run commands in a folder."""
    return subprocess.run(["sh", "-euc", script], cwd=folder, capture_output=True, text=True, check=False)


def test_it_verifies_with_openssl_alone(exported: Path) -> None:
    """By the script that lies beside it."""
    done = shell(exported, "sh ./verify.sh")
    assert (done.returncode, done.stdout.splitlines()) == (0, ["Verified OK", "card.crt: OK"])


def test_the_commands_in_the_docs_are_the_same(exported: Path) -> None:
    """docs/proofs.md says how to do it by hand."""
    page = (DOCS / "proofs.md").read_text(encoding="utf-8")
    commands = "".join(re.findall(r"```sh\n(.*?)```", page, re.DOTALL))
    done = shell(exported, commands)
    assert (done.returncode, done.stdout.splitlines()) == (0, ["Verified OK", "card.crt: OK"])


def test_one_changed_byte_is_found(exported: Path) -> None:
    """The amount that the card signed is inside what is verified."""
    path = exported / "sig_structure.bin"
    path.write_bytes(path.read_bytes().replace(b"transport", b"transpork"))
    assert shell(exported, "sh ./verify.sh").returncode != 0


def test_a_card_that_was_revoked_before_shows(council: Council, bus: Terminal, tmp_path: Path) -> None:
    """An advice is posted all the same; its proof says that the card was no good by then."""
    card = council.card()
    council.revoke(card)
    council.clock.advance(minutes=1)
    statement = advice_of(bus, card)
    bus.post(URL, message(statement, card))
    export_proof(council.context, statement.id, tmp_path / "proof")
    done = shell(tmp_path / "proof", "sh ./verify.sh")
    assert "certificate revoked" in done.stderr
    described = json.loads((tmp_path / "proof" / "transaction.json").read_text())
    assert (described["kind"], described["decision"]) == ("advice", "approved")


def test_refused_exports(council: Council, bus: Terminal, exported: Path) -> None:
    """Nothing is written over, and nothing is made up."""
    with pytest.raises(OrderInvalid):
        export_proof(council.context, new_id(), exported)
    with pytest.raises(TransactionUnknown):
        export_proof(council.context, new_id(), exported.with_name("other"))


def test_ledger_verify(council: Council, bus: Terminal) -> None:
    """Sales, declines, duplicates, annulments, arrears: everything adds up, and every proof holds."""
    card = council.card(top_up_minor=300)
    context = council.context
    first = request_for(bus, card)
    replaced = advice_of(bus, card, replaces=first.id)
    annulled = request_for(bus, card, amount_minor=1)
    for body in (
        message(first, card),
        message(replaced, card),
        message(annulled, card),
        annulment(bus, card, annulled.id),
        message(advice_of(bus, card), card),
        annulment(bus, card, first.id),
    ):
        assert bus.post(URL, body).status == 200
    council.top_up(card, 1000)
    report = verify(context.database, lambda *found: fault_of_proof(context, *found))
    assert report.findings == ()
    assert (report.transactions, report.proofs_checked) == (8, 4)
    with context.database.begin() as connection:
        destroy_key(connection, card.holder, council.clock())
    report = verify(context.database, lambda *found: fault_of_proof(context, *found))
    assert (report.findings, report.proofs_erased) == ((), 4)


def test_a_proof_of_another_transaction_is_found(council: Council, bus: Terminal) -> None:
    """Each proof is encrypted for its own transaction."""
    card = council.card(top_up_minor=2000)
    statement = request_for(bus, card)
    bus.post(URL, message(statement, card))
    with council.context.database.reading() as connection:
        good = fault_of_proof(council.context, connection, card.payer, TransactionId(statement.id))
        missing = fault_of_proof(council.context, connection, card.payer, TransactionId(new_id()))
    assert good is None
    assert missing is not None


# As somebody with every right would do it so that all adds up: what is charged is taken from the account.
_CHARGED = "UPDATE transfer SET amount_minor = amount_minor + 1 WHERE transaction_id = :id"
_TAKEN = "UPDATE account SET balance = balance - 1 WHERE kind = 'prepaid' AND balance > 0"
CONSISTENT = {
    "amount": (
        _CHARGED,
        _TAKEN,
        "UPDATE ledger_transaction SET amount_minor = amount_minor + 1 WHERE id = :id",
    ),
    "transfers come to 241": (_CHARGED, _TAKEN),
    "kind": ("UPDATE ledger_transaction SET kind = 'advice' WHERE id = :id",),
    "terminal": ("UPDATE ledger_transaction SET terminal_id = 'bus-13' WHERE id = :id",),
    "sequence": ("UPDATE ledger_transaction SET sequence = sequence + 1 WHERE id = :id",),
    "service": ("UPDATE ledger_transaction SET service = 'parking' WHERE id = :id",),
    "action": ("UPDATE ledger_transaction SET action = 'tap' WHERE id = :id",),
    "tariff": ("UPDATE ledger_transaction SET tariff_version = 'another' WHERE id = :id",),
    "replaced request": ("UPDATE ledger_transaction SET replaces = id WHERE id = :id",),
    "time": ("UPDATE ledger_transaction SET occurred_at = posted_at WHERE id = :id",),
}


def test_what_adds_up_and_was_not_signed_is_found(
    council: Council, bus: Terminal, database_urls: DatabaseUrls
) -> None:
    """Before its day is sealed: rows, transfers and balances agree with each other, and not with the card."""
    context, card = council.context, council.card(top_up_minor=5_000)
    changed: dict[TransactionId, str] = {}
    for name in (*CONSISTENT, ""):
        statement = request_for(bus, card)
        body = message(statement, card)
        council.clock.advance(seconds=1)
        assert bus.post(URL, body).outcome == (200, "approved")
        changed[TransactionId(statement.id)] = name
    with unguarded(database_urls) as connection:
        for sale, name in changed.items():
            own = {"id": sale.hex if database_urls.kind == "sqlite" else str(sale)}
            for change in CONSISTENT.get(name, ()):
                done = connection.execute(text(change), own if ":id" in change else {})
                assert done.rowcount == 1, name
    assert verify(context.database).is_clean
    report = verify(context.database, lambda *found: fault_of_proof(context, *found))
    assert {finding.code for finding in report.findings} == {"proof_invalid"}
    said = {finding.transaction_id: finding.detail for finding in report.findings}
    assert said.keys() == {sale for sale, name in changed.items() if name}
    assert all(changed[sale] in detail for sale, detail in said.items() if sale is not None)
