"""A bureau and its files: it makes keys on cards, gets certificates, tells what became of each; letters."""

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cardservice.blanks import service as blanks
from cardservice.blanks.service import By, Delivery
from cardservice.bureau import orders
from cardservice.bureau.errors import BatchRefused, BureauFileRefused
from cardservice.bureau.files import RESULT, from_base64, to_base64, unseal, write
from cardservice.bureau.letters import write_letters
from cardservice.bureau.orders import Batch
from cardservice.bureau.results import Taken, take_results
from cardservice.cardholders import details
from cardservice.cardholders.details import Address, Noting
from cardservice.cardholders.erasure import erase_cardholder
from cardservice.cardholders.service import NewCardholder, add_cardholder
from cardservice.cards import personalisation
from cardservice.cards import service as cards
from cardservice.cards.activation import activate
from cardservice.cards.personalisation import Delivery as By_
from cardservice.cards.states import CardState
from cardservice.errors import OrderInvalid
from cardservice.ids import CardholderId, CardId
from tests.support.council import ACTOR, START, Council, csr

BUREAU = "vale-cards"


def pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Its public half."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@dataclass
class Bureau:
    """A bureau: its keys, and the cards in its machine with the keys that they have made."""

    council: Council
    signing: ec.EllipticCurvePrivateKey
    sealing: ec.EllipticCurvePrivateKey
    made: dict[str, dict[str, ec.EllipticCurvePrivateKey]]

    def results(self, batch: Batch, lines: list[dict[str, Any]], /, **head: Any) -> bytes:
        """A file of results, signed."""
        values = {"format": RESULT, "scheme": "ashcombe", "batch": str(batch.id), "bureau": BUREAU, **head}
        return write(values, lines, self.signing)

    def requests(self, told: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """What its cards answer to the lines of an order file."""
        lines = []
        for line in told:
            keys = self.made.setdefault(
                line["card"], {slot: ec.generate_private_key(ec.SECP256R1()) for slot in line["slots"]}
            )
            asked = {
                slot: to_base64(csr(key, "card").public_bytes(Encoding.DER)) for slot, key in keys.items()
            }
            lines.append({**named(line), "outcome": "keys", "requests": asked})
        return lines

    def take(self, data: bytes, *, dry_run: bool = False) -> Taken:
        """The service takes a file."""
        return take_results(self.council.context, BUREAU, data, actor=ACTOR, dry_run=dry_run)

    def order_file(self, batch: Batch) -> bytes:
        """What it is told to make."""
        with self.council.context.database.begin() as connection:
            return orders.order_file(self.council.context, connection, batch, actor=ACTOR)

    def certificates(self, batch: Batch) -> list[dict[str, Any]]:
        """The certificates for its cards' keys."""
        with self.council.context.database.reading() as connection:
            return parsed(orders.certificates_file(self.council.context, connection, batch))


def named(line: dict[str, Any]) -> dict[str, Any]:
    """Which card a line is about."""
    return {name: line[name] for name in ("number", "order", "card")}


def parsed(data: bytes) -> list[dict[str, Any]]:
    """The lines between the head and the signature."""
    return [json.loads(line) for line in data.splitlines()[1:-1]]


def done(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """That the cards with these certificates are made."""
    return [
        {
            **named(line),
            "outcome": "made",
            "certificates": {
                slot: sha256(from_base64(der)).hexdigest() for slot, der in line["certificates"].items()
            },
        }
        for line in told
    ]


@pytest.fixture
def bureau(council: Council) -> Bureau:
    """Registered, with ten of our blanks."""
    signing, sealing = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    made = Bureau(council, signing, sealing, {})
    by = By(ACTOR, START)
    with council.context.database.begin() as connection:
        blanks.add_place(connection, "vale", "At the bureau", by)
        blanks.receive(connection, Delivery("Vale Cards", "dual-8k", 10), "vale", by)
        keys = pem(made.signing), pem(made.sealing)
        orders.add_bureau(
            connection, BUREAU, "Vale Cards", *keys, ("vale", "dual-8k"), actor=ACTOR, moment=START
        )
    return made


def person(council: Council, *, protected: bool = False) -> CardholderId:
    """Somebody with an address, and a card ordered by post."""
    moment = council.clock()
    with council.context.database.begin() as connection:
        new = NewCardholder("Morgan Reed", "adult")
        holder, _ = add_cardholder(connection, new, "GBP", council.kek, actor=ACTOR, moment=moment)
        noting = Noting(council.kek, holder, ACTOR, moment, council.zone)
        details.set_address(connection, noting, Address(paon="7", street="Mill Lane", postcode="AB1 2CD"))
        if protected:
            details.set_flag(connection, noting, details.PROTECTED, on=True)
        personalisation.order_card(
            connection, holder, "citizen", delivery=By_.POST, actor=ACTOR, moment=moment
        )
    return holder


def batch_of(council: Council, send_to: str = "holder") -> Batch:
    """All that waits."""
    with council.context.database.begin() as connection:
        waiting = orders.waiting_orders(connection)
        return orders.make_batch(connection, BUREAU, waiting, send_to, actor=ACTOR, moment=council.clock())


def state(council: Council, card: str) -> CardState:
    """What a card is."""
    with council.context.database.reading() as connection:
        return cards.require_card(connection, UUID(card)).state


def blanks_left(council: Council) -> int:
    """At the bureau."""
    with council.context.database.reading() as connection:
        [found] = blanks.stock(connection, "vale")
    return found.count


def test_a_batch_from_the_order_to_the_tap(council: Council, bureau: Bureau, tmp_path: Path) -> None:
    """Two are made and one fails; letters; a code puts a card into use. Each file twice changes nothing."""
    for _ in range(3):
        person(council)
    batch = batch_of(council)
    told = parsed(bureau.order_file(batch))
    asked = bureau.results(batch, bureau.requests(told))
    assert bureau.take(asked, dry_run=True) == Taken(batch.id, keys=3, made=0, failed=0, known=0)
    assert bureau.certificates(batch) == []
    assert bureau.take(asked) == Taken(batch.id, keys=3, made=0, failed=0, known=0)
    given = bureau.certificates(batch)
    assert bureau.take(asked) == Taken(batch.id, keys=0, made=0, failed=0, known=3)
    assert bureau.certificates(batch) == given
    for line in given:
        for slot, der in line["certificates"].items():
            certificate = x509.load_der_x509_certificate(from_base64(der))
            assert certificate.public_key() == bureau.made[line["card"]][slot].public_key()
    failed = {**named(given[2]), "outcome": "failed", "spoiled": True}
    result = bureau.results(batch, [*done(given[:2]), failed])
    for expected in ((2, 1, 0), (0, 0, 3)):
        taken = bureau.take(result)
        assert (taken.made, taken.failed, taken.known) == expected
        assert blanks_left(council) == 7
    # The first file once more, now that cards are made: what failed is over, and nothing is taken.
    with pytest.raises(BureauFileRefused, match=r"line 4: .*failed"):
        bureau.take(asked)
    states = [state(council, line["card"]) for line in given]
    assert states == [CardState.PERSONALISED, CardState.PERSONALISED, CardState.REVOKED]

    letters = write_letters(council.context, batch, tmp_path / "letters.txt", actor=ACTOR)
    assert (letters.written, letters.at_desk) == (2, 0)
    text = (tmp_path / "letters.txt").read_text()
    assert (tmp_path / "letters.txt").stat().st_mode & 0o077 == 0
    first, second = text.split("\f")
    assert first.startswith("Morgan Reed\n7\nMill Lane\nAB1 2CD\n")
    code = re.search(r"^    (\w{4}-\w{4})$", first, re.MULTILINE)
    assert code is not None
    assert code.group(1) not in second
    activate(council.context, UUID(given[0]["card"]), code.group(1), actor=ACTOR)
    assert state(council, given[0]["card"]) is CardState.ACTIVE
    with pytest.raises(OrderInvalid, match="waits"):
        write_letters(council.context, batch, tmp_path / "more.txt", actor=ACTOR)
    assert not (tmp_path / "more.txt").exists()
    with pytest.raises(FileExistsError):
        write_letters(council.context, batch, tmp_path / "letters.txt", actor=ACTOR, again=True)
    assert (tmp_path / "letters.txt").read_text() == text
    assert write_letters(council.context, batch, tmp_path / "b.txt", actor=ACTOR, again=True).written == 1


def test_the_order_file(council: Council, bureau: Bureau, tmp_path: Path) -> None:
    """Signed, as openssl says; what names somebody or opens a card is sealed for bureau and order."""
    person(council)
    person(council, protected=True)
    batch = batch_of(council)
    data = bureau.order_file(batch)
    assert b"Morgan" not in data
    assert b"AB1" not in data
    body, _, last = data.rstrip(b"\n").rpartition(b"\n")
    (tmp_path / "body").write_bytes(body + b"\n")
    (tmp_path / "signature").write_bytes(from_base64(json.loads(last)["signature"]))
    head = json.loads(data.splitlines()[0])
    key = x509.load_der_x509_certificate(from_base64(head["certificate"])).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    (tmp_path / "key.pem").write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    verify = ["openssl", "dgst", "-sha256", "-verify", "key.pem", "-signature", "signature", "body"]
    assert subprocess.run(verify, cwd=tmp_path, capture_output=True, check=False).returncode == 0

    first, second = parsed(data)
    ids = [(batch.id, UUID(line["order"])) for line in (first, second)]
    content = unseal(first["sealed"], bureau.sealing, "ashcombe", *ids[0])
    assert content["send_to"] == {
        "to": "holder",
        "name": "Morgan Reed",
        "lines": ["7", "Mill Lane", "AB1 2CD"],
    }
    own_key = council.context.keys.management_key(CardId(UUID(first["card"])))
    assert content["management_key"] == own_key.hex()
    assert "5FC102" in content["objects"]
    assert unseal(second["sealed"], bureau.sealing, "ashcombe", *ids[1])["send_to"] == {"to": "desk"}
    with pytest.raises(InvalidTag):
        unseal(first["sealed"], bureau.sealing, "ashcombe", *ids[1])


def test_no_desk_makes_what_a_bureau_has(council: Council, bureau: Bureau) -> None:
    """Two cards would be made of one order; nor does another batch get it."""
    person(council)
    batch = batch_of(council)
    [order] = batch.orders
    desk = council.terminal("desk-1", "issuer")
    assert desk.get(f"/v1/personalisation-orders/{order}").outcome == (409, "order_closed")
    with council.context.database.begin() as connection:
        for wrong in ([order], [], [order, order]):
            with pytest.raises(BatchRefused):
                orders.make_batch(connection, BUREAU, wrong, "holder", actor=ACTOR, moment=START)
    del bureau


Spoil = Callable[[list[dict[str, Any]]], object]
BAD: dict[str, tuple[Spoil, str]] = {
    "another order": (lambda lines: lines[1].update(order=str(UUID(int=1))), "line 3: .*of this batch"),
    "twice": (lambda lines: lines[1].update(lines[0]), "line 3: .*another line"),
    "another card": (lambda lines: lines[1].update(card=lines[0]["card"]), "line 3: .*another card"),
    "no card": (lambda lines: lines[1].pop("card"), "line 3: the card is no identifier"),
    "another's keys": (lambda lines: lines[1].update(requests={}), "line 3: requests are those for 9A"),
    "no base64": (lambda lines: lines[1]["requests"].update({"9C": 7}), "line 3: is no text"),
    "no request": (lambda lines: lines[1]["requests"].update({"9C": "AAAA"}), "line 3: the card's request"),
    "one key twice": (
        lambda lines: lines[1]["requests"].update({"9C": lines[1]["requests"]["9A"]}),
        "line 3: the key 9C is the card's key of another slot",
    ),
    "no outcome": (lambda lines: lines[1].update(outcome="lost"), "line 3: the outcome is one of"),
    "made before it has certificates": (
        lambda lines: lines[1].update(outcome="made", certificates={}),
        "line 3: these are not the certificates",
    ),
    "failed, and how": (lambda lines: lines[1].update(outcome="failed"), "line 3: say whether"),
    "all": (
        lambda lines: [line.update(outcome=None) for line in lines],
        "line 2: the outcome.*line 3: the outcome",
    ),
}


def test_bad_lines(council: Council, bureau: Bureau) -> None:
    """Each with its line and reason, and nothing of the good lines is taken."""
    for _ in range(2):
        person(council)
    batch = batch_of(council)
    told = parsed(bureau.order_file(batch))
    for name, (spoil, says) in BAD.items():
        lines = bureau.requests(told)
        spoil(lines)
        with pytest.raises(BureauFileRefused, match=says):
            bureau.take(bureau.results(batch, lines))
        assert bureau.certificates(batch) == [], name
    good = bureau.requests(told)
    data = bureau.results(batch, good)
    another = ec.generate_private_key(ec.SECP256R1())
    for wrong, says in (
        (data.replace(b"keys", b"made", 1), "line 4: this is no signature"),
        (write({"format": RESULT}, good, another), "no signature"),
        (bureau.results(batch, good, format="other"), "line 1: the file does not say"),
        (bureau.results(batch, good, scheme="other"), "line 1: it is of another scheme"),
        (bureau.results(batch, good, batch=str(UUID(int=1))), "line 1: there is no batch"),
        (bureau.results(batch, []), "line 1: it says 0 lines"),
        (b"", "line 1: is no JSON object"),
        (b"\xff\n" * 9, "is no JSON object"),
        (b"[" * 100_000, "is no JSON object"),
    ):
        with pytest.raises(BureauFileRefused, match=says):
            bureau.take(wrong)
    assert bureau.take(data).keys == 2


def test_erasing_somebody_whose_card_a_bureau_has(council: Council, bureau: Bureau) -> None:
    """Nothing of the batch leads to them any more, and the file says nothing of them."""
    holder = person(council)
    batch = batch_of(council)
    erase_cardholder(council.context, holder, actor=ACTOR)
    with council.context.database.reading() as connection:
        assert orders.require_batch(connection, batch.id).orders == ()
    assert parsed(bureau.order_file(Batch(batch.id, BUREAU, "holder", START, ()))) == []
