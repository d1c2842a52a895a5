"""From an application to a card and what it says, by command, on both databases."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from cardservice.applications.models import application, proof
from cardservice.audit.models import audit
from cardservice.cardholders.erasure import erase_cardholder
from cardservice.cards import personalisation
from cardservice.cards import service as cards
from cardservice.cards.models import personalisation_order
from cardservice.cards.slots import SLOTS_OF_KIND
from cardservice.cli import main
from cardservice.keys import AUTHORITY
from cardservice.pki_store.store import DatabaseCertificateStore
from pki.clock import OFFSET_VARIABLE
from pki.signers import STATUS_LIST_SIGNER
from pki.statements.entitlement import KeyBinding, verify_entitlement
from pki.statements.errors import EntitlementExpired, EntitlementOfAnotherCard
from pki.statements.thumbprint import key_id
from tests.cardservice.conftest import PASSPHRASE
from tests.support.council import ACTOR, START, Council, csr, new_id

TODAY = START.date()


class Desk:
    """Staff at a desk, on a day of their own."""

    def __init__(self, council: Council) -> None:
        self.council, self.context = council, council.context

    def run(self, *arguments: str) -> Result:
        """The command in this process, at the moment where the test's clock stands."""
        settings, offset = self.context.settings, self.council.clock() - datetime.now(UTC)
        environment = {
            "CARDSERVICE_MODE": "development",
            "CARDSERVICE_DATABASE_URL": settings.database_url,
            "CARDSERVICE_PKI_DIR": str(settings.pki_dir),
            "CARDSERVICE_PASSPHRASE": PASSPHRASE.decode(),
            "CARDSERVICE_PUBLIC_ORIGIN": settings.public_origin,
            OFFSET_VARIABLE: str(offset.total_seconds()),
        }
        return CliRunner().invoke(main, [*arguments], env=environment)

    def ok(self, *arguments: str) -> Any:
        """What a command printed, as JSON."""
        result = self.run(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def refused(self, *arguments: str) -> str:
        """The sentence with which a command is refused."""
        result = self.run(*arguments)
        assert (result.exit_code, result.stdout) == (1, ""), result.output
        return result.stderr

    def prove(self, holder: str, kind: str, *more: str) -> None:
        """A proof that was seen."""
        self.ok("application", "proof", holder, kind, "--reference", f"{kind} 471", *more)

    def make(self, order: str) -> ec.EllipticCurvePublicKey:
        """The card of an order, as a desk makes it and hands it over."""
        key = ec.generate_private_key(ec.SECP256R1())
        self.council.clock.advance(minutes=1)
        context, now = self.context, self.context.now()
        with context.database.begin() as connection:
            authority = context.authority(cards.AUTHORITY, connection)
            made = personalisation.require_order(connection, UUID(order))
            for slot in SLOTS_OF_KIND[made.kind]:
                own = key if slot == "9E" else ec.generate_private_key(ec.SECP256R1())
                request = csr(own, "card").public_bytes(Encoding.DER)
                personalisation.certify(
                    connection, authority, made.id, request, slot, actor=ACTOR, moment=now
                )
            personalisation.report(connection, authority, made.id, done=True, actor=ACTOR, moment=now)
        return key.public_key()

    def state(self, card: str) -> str:
        """What a card is."""
        return str(self.ok("card", "show", card)["state"])


@pytest.fixture
def desk(council: Council) -> Desk:
    """A desk of the council's."""
    return Desk(council)


def test_from_an_application_to_a_card_that_says_so(desk: Desk) -> None:
    """All that is missing is said; approved, the card is ordered and made, and says what proofs back."""
    made = desk.ok("application", "add", "citizen", "--name", "Morgan Reed")
    mine, holder = made["application"], made["cardholder"]
    assert "is open; decide that one" in desk.refused("application", "add", "citizen", "--cardholder", holder)
    assert desk.ok("application", "show", mine)["against"] == [
        "no proof of identity counts",
        "no proof of residence counts",
        "no date of birth is noted",
    ]
    assert "no proof of identity" in desk.refused("application", "approve", mine)
    desk.ok("cardholder", "born", holder, "1987-11-23")
    desk.prove(holder, "identity")
    desk.prove(holder, "residence", "--review-on", "2027-06-15")
    desk.prove(holder, "disability", "--review-on", "2026-06-17")
    assert desk.ok("application", "show", mine)["against"] == []
    order = desk.ok("application", "approve", mine)
    shown = desk.ok("application", "show", mine)
    assert (shown["state"], shown["card"]) == ("approved", order["card"])
    assert desk.ok("cardholder", "show", holder)["category"] == "adult"
    assert "was approved" in desk.refused("application", "refuse", mine, "--reason", "too late")
    assert "are made for cards that are made" in desk.refused("card", "entitlements", order["card"])
    key = desk.make(order["order"])
    said = desk.ok("card", "entitlements", order["card"])["entitlements"]
    assert [(one["predicate"], one["expires_at"][:10]) for one in said] == [
        ("age_over_16", "2031-06-16"),
        ("age_over_18", "2031-06-16"),
        ("concession:disabled", "2026-06-17"),
        ("resident", "2027-06-15"),
    ]
    disabled = base64.urlsafe_b64decode(said[2]["statement"] + "==")
    issuers = signers(desk)
    moment, binding = desk.context.now() + timedelta(minutes=1), KeyBinding.of(key)
    entitlement = verify_entitlement(disabled, "ashcombe", issuers, moment, binding)
    assert entitlement.predicate == "concession:disabled"
    other = KeyBinding.of(ec.generate_private_key(ec.SECP256R1()).public_key())
    with pytest.raises(EntitlementOfAnotherCard):
        verify_entitlement(disabled, "ashcombe", issuers, moment, other)
    with pytest.raises(EntitlementExpired):
        verify_entitlement(disabled, "ashcombe", issuers, moment + timedelta(days=2), binding)


def signers(desk: Desk) -> dict[bytes, ec.EllipticCurvePublicKey]:
    """Whom a terminal believes."""
    with desk.context.database.reading() as connection:
        issued = DatabaseCertificateStore(connection).find_by_identity(AUTHORITY, STATUS_LIST_SIGNER)
    keys = [x509.load_der_x509_certificate(each.der).public_key() for each in issued]
    return {key_id(key): key for key in keys if isinstance(key, ec.EllipticCurvePublicKey)}


def test_what_is_due_and_what_nothing_backs_any_more(desk: Desk) -> None:
    """The list of reviews; a card whose proof is over rests until somebody has looked."""
    holder, _, card = citizen(desk)
    assert desk.ok("application", "due", "2027-06-14")["due"] == []
    [due] = desk.ok("application", "due", "2027-06-15")["due"]
    assert (due["cardholder"], due["of"], due["reference"]) == (holder, "residence", "residence 471")
    told = desk.ok("cardholder", "accesses", holder)["accesses"]
    assert [one["action"] for one in told if one["read"]] == ["proof.due"]
    assert desk.ok("application", "recheck")["cards"] == []
    desk.council.clock.advance(days=365)
    [found] = desk.ok("application", "recheck")["cards"]
    assert (found["card"], found["against"]) == (card, ["no proof of residence counts"])
    assert desk.state(card) == "active"
    assert desk.ok("application", "recheck", "--suspend")["cards"] == [found]
    assert desk.state(card) == "suspended"
    assert desk.ok("application", "recheck", "--suspend")["cards"] == []
    desk.prove(holder, "residence", "--review-on", "2029-01-01")
    shown = desk.ok("application", "show", found["application"])["proofs"]
    assert [one["ended_at"] is None for one in shown if one["of"] == "residence"] == [False, True]
    desk.ok("card", "release", card, "--reason", "a new proof was seen")
    assert desk.ok("application", "recheck")["cards"] == []
    desk.ok("application", "end-proof", holder, "residence")
    assert [one["card"] for one in desk.ok("application", "recheck")["cards"]] == [card]
    assert "no proof of residence" in desk.refused("application", "end-proof", holder, "residence")


def test_a_recheck_looks_at_cards_that_were_ordered_too(desk: Desk) -> None:
    """Named, and left alone: they rest where that is said alone."""
    ordered = desk.council.card("adult")
    [found] = desk.ok("application", "recheck", "--suspend")["cards"]
    assert (found["card"], found["application"]) == (str(ordered.id), None)
    assert "no proof of identity counts" in found["against"]
    assert desk.state(str(ordered.id)) == "active"
    desk.ok("application", "recheck", "--suspend", "--also-ordered")
    assert desk.state(str(ordered.id)) == "suspended"


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_a_file_of_renewed_proofs(desk: Desk, tmp_path: Any) -> None:
    """All of it or nothing, by line; with it the cards that nothing backed are backed again."""
    holder, application_id, card = citizen(desk)
    desk.council.clock.advance(days=365)
    assert [one["card"] for one in desk.ok("application", "recheck")["cards"]] == [card]
    file, head = tmp_path / "renewed.csv", "cardholder,proof,reference,review_on"

    def take(*lines: str) -> tuple[str, ...]:
        file.write_text("\n".join((head, *lines)) + "\n", encoding="utf-8")
        return ("import", "proofs", str(file))

    good, stranger = f"{holder},residence,council tax 2027,2028-06-01", str(new_id())
    for lines, reason in (
        ((good, f"{stranger},residence,x,2028-06-01"), f"line 3: no cardholder {stranger}"),
        ((good, f"{holder},age,x,2028-06-01"), "line 3: 'age' is no kind of proof"),
        ((good, good), "line 3: this person and proof are on line 2, too"),
        ((f"{holder},residence,=1+1,2028-06-01",), "line 2: reference: '=1+1' begins like a formula"),
        ((f"{holder},residence,x,",), "line 2: say until when the proof of residence counts"),
        ((f"{holder},residence,x,tomorrow",), "line 2: review_on: 'tomorrow' is no day"),
        (("nobody,residence,x,2028-06-01",), "line 2: cardholder: 'nobody' is no identifier"),
        (("x,y",), "line 2: it has 2 cells, not 4"),
    ):
        assert reason in desk.refused(*take(*lines))
    before = desk.ok("application", "show", application_id)["proofs"]
    assert desk.ok(*take(good), "--dry-run") == {"proofs": 1, "dry_run": True}
    assert desk.ok("application", "show", application_id)["proofs"] == before
    assert desk.ok(*take(good))["proofs"] == 1
    assert desk.ok("application", "recheck")["cards"] == []


def citizen(desk: Desk, kind: str = "citizen", born_on: str = "1987-11-23") -> tuple[str, str, str]:
    """Somebody with a card: who, the application, the card."""
    made = desk.ok("application", "add", kind, "--name", "Morgan Reed")
    holder = made["cardholder"]
    desk.ok("cardholder", "born", holder, born_on)
    desk.prove(holder, "identity")
    desk.prove(holder, "residence", "--review-on", "2027-06-15")
    order = desk.ok("application", "approve", made["application"])
    desk.make(order["order"])
    return holder, made["application"], order["card"]


def test_a_young_citizen_grows_up(desk: Desk) -> None:
    """On the birthday, once; the young card ends when the new one comes into use."""
    holder, _, young = citizen(desk, "young-citizen", "2010-06-17")
    assert desk.ok("cardholder", "show", holder)["category"] == "young"
    desk.council.clock.advance(days=1)
    assert desk.ok("card", "grow-up")["grown"] == []
    desk.council.clock.advance(days=1)
    told = desk.ok("card", "grow-up", "--dry-run")
    assert told["grown"] == [{"cardholder": holder, "young": young, "card": None}]
    assert desk.ok("cardholder", "show", holder)["category"] == "young"
    [grown] = desk.ok("card", "grow-up")["grown"]
    assert desk.ok("card", "grow-up")["grown"] == []
    assert desk.ok("cardholder", "show", holder)["category"] == "adult"
    shown = desk.ok("card", "show", grown["card"])
    assert (shown["kind"], shown["replaces"], shown["state"]) == ("citizen", young, "ordered")
    assert desk.state(young) == "active"
    with desk.context.database.reading() as connection:
        orders = personalisation_order
        order = connection.scalar(select(orders.c.id).where(orders.c.card_id == UUID(grown["card"])))
    desk.make(str(order))
    assert (desk.state(grown["card"]), desk.state(young)) == ("active", "revoked")
    desk.ok("cardholder", "born", holder, "--unknown")
    assert desk.ok("card", "grow-up")["unknown"] == []


@pytest.mark.parametrize(
    ("born_on", "midnight"),
    [
        # An hour earlier than in UTC
        ("2010-06-17", datetime(2026, 6, 16, 23, tzinfo=UTC)),
        ("2012-02-29", datetime(2028, 2, 29, tzinfo=UTC)),
    ],
)
def test_the_birthday_begins_at_the_schemes_midnight(desk: Desk, born_on: str, midnight: datetime) -> None:
    """The night's run after it makes a citizen, not the one a day later."""
    _, _, young = citizen(desk, "young-citizen", born_on)
    desk.council.clock.moment = midnight - timedelta(minutes=30)
    assert desk.ok("card", "grow-up") == {"grown": [], "unknown": [], "dry_run": False}
    desk.council.clock.moment = midnight
    assert [each["young"] for each in desk.ok("card", "grow-up")["grown"]] == [young]


def test_who_has_no_date_of_birth_is_named(desk: Desk) -> None:
    holder, _, _ = citizen(desk, "young-citizen", "2012-06-17")
    desk.ok("cardholder", "born", holder, "--unknown")
    assert desk.ok("card", "grow-up") == {"grown": [], "unknown": [holder], "dry_run": False}


def test_a_visitors_card_holds_from_the_first_day_to_the_last(desk: Desk) -> None:
    """Made before, it is kept until then; after the last day it is over."""
    visit = ("--from", "2026-06-20", "--until", "2026-06-30")
    made = desk.ok("application", "add", "visitor", "--name", "Ines Alves", *visit)
    desk.prove(made["cardholder"], "identity")
    order = desk.ok("application", "approve", made["application"])
    desk.make(order["order"])
    card = order["card"]
    shown = desk.ok("card", "show", card)
    assert (shown["state"], shown["expires_on"]) == ("personalised", "2026-06-30")
    # Whenever it was made, it can be used until the last day is over.
    with desk.context.database.reading() as connection:
        issued = DatabaseCertificateStore(connection).find_by_identity(cards.AUTHORITY, card)
    assert {each.not_after for each in issued} == {datetime(2026, 6, 30, 23, 59, 59, tzinfo=UTC)}
    code = desk.ok("card", "dispatch", card)["code"]
    letter = desk.context.settings.pki_dir.parent / f"letter-{card}"
    letter.write_text(code)
    assert "from 2026-06-20 on" in desk.refused("card", "activate", card, "--code-file", str(letter))
    desk.council.clock.advance(days=5)
    desk.ok("card", "activate", card, "--code-file", str(letter))
    assert desk.state(card) == "active"
    desk.council.clock.advance(days=11)
    assert desk.ok("card", "expire")["cards"] == 1


def test_what_is_no_application(desk: Desk) -> None:
    """Said in a sentence; nothing is kept of it."""
    for arguments, reason in (
        (("add", "visitor", "--name", "I A"), "a first and a last day"),
        (
            ("add", "citizen", "--name", "I A", "--from", "2026-06-20", "--until", "2026-06-30"),
            "no other has",
        ),
        (("add", "visitor", "--name", "I A", "--from", "2026-06-01", "--until", "2026-06-14"), "is over"),
        (("add", "visitor", "--name", "I A", "--from", "2026-07-02", "--until", "2026-07-01"), "or none"),
        (("add", "visitor", "--name", "I A", "--from", "2026-07-02", "--until", "2027-07-03"), "366 days"),
        (("add", "citizen", "--cardholder", str(new_id())), "no cardholder"),
        (("show", str(new_id())), "no application"),
        (("approve", "one"), "no identifier"),
    ):
        assert reason in desk.refused("application", *arguments)
    with desk.context.database.reading() as connection:
        assert connection.execute(select(application)).all() == []


def test_what_is_no_proof(desk: Desk) -> None:
    """What changes is looked at again, on a day that is to come."""
    holder = str(desk.council.card().holder)
    for arguments, reason in (
        (("student",), "until when"),
        (("student", "--review-on", "2026-06-15"), "is to come"),
        (("student", "--review-on", "2066-06-15"), "within ten years"),
        (
            ("student", "--review-on", "2027-06-15", "--reference", "two\nlines"),
            "what the document is called",
        ),
    ):
        assert reason in desk.refused("application", "proof", holder, "--reference", "x", *arguments)


def test_what_is_kept_is_sealed_told_and_erased(desk: Desk, tmp_path: Any) -> None:
    """Neither what was proved nor why somebody was refused is in the tables or the audit log in clear."""
    made = desk.ok("application", "add", "citizen", "--name", "Morgan Reed")
    holder = made["cardholder"]
    desk.prove(holder, "disability", "--review-on", "2027-06-15")
    desk.ok("application", "refuse", made["application"], "--reason", "lives in Upper Vale")
    again = desk.ok("application", "add", "citizen", "--cardholder", holder)
    desk.ok("application", "withdraw", again["application"])
    with desk.context.database.reading() as connection:
        rows = [*connection.execute(select(application)), *connection.execute(select(proof))]
        said = str([*rows, *connection.execute(select(audit))])
    for word in ("disability 471", "disability", "Upper Vale"):
        assert word not in said
    desk.ok("cardholder", "export", holder, str(tmp_path / "told"))
    told = json.loads((tmp_path / "told" / "record.json").read_text("utf-8"))
    decided = [(one["state"], one["reason"]) for one in told["applications"]]
    assert decided == [("refused", "lives in Upper Vale"), ("withdrawn", None)]
    assert [(one["of"], one["reference"]) for one in told["proofs"]] == [("disability", "disability 471")]
    citizens, _, _ = citizen(desk)
    for each in (holder, citizens):
        erase_cardholder(desk.context, UUID(each), actor=ACTOR)
    with desk.context.database.reading() as connection:
        assert [connection.execute(select(table)).all() for table in (application, proof)] == [[], []]


def test_the_tables_hold_it_too(desk: Desk) -> None:
    """What is half decided, no kind, or a second one that is open, nobody can write."""
    made = desk.ok("application", "add", "citizen", "--name", "Morgan Reed")
    holder = UUID(made["cardholder"])
    wrong: tuple[dict[str, Any], ...] = (
        {"state": "approved"},
        {"state": "refused"},
        {"kind": "visitor"},
        {"kind": "guest"},
        {"first_day": TODAY, "last_day": TODAY},
        {"decided_at": START},
        {},
    )
    for values in wrong:
        whole = {
            "id": new_id(),
            "cardholder_id": holder,
            "kind": "citizen",
            "state": "open",
            "applied_at": START,
        }
        with pytest.raises(IntegrityError), desk.context.database.begin() as connection:
            connection.execute(application.insert().values(**whole | values))


def test_a_concession_for_age_waits_for_its_day(desk: Desk) -> None:
    """Nothing is noted before it, nor for longer than a permit holds; the older proof stands."""
    holder = desk.ok("application", "add", "citizen", "--name", "Una Older")["cardholder"]
    proof = ("application", "proof", holder, "older", "--reference", "pension letter", "--review-on")
    assert "no date of birth" in desk.refused(*proof, "2027-06-15")
    desk.ok("cardholder", "born", holder, "1960-06-16")
    # 66 years and 3 months: the clock of the tests stands at June 2026.
    assert "from 2026-09-16 on" in desk.refused(*proof, "2027-06-15")
    desk.ok("cardholder", "born", holder, "1960-03-15")
    assert "5 years at most: until 2031-06-15" in desk.refused(*proof, "2031-06-16")
    assert desk.ok(*proof, "2031-06-15")["of"] == "older"
