"""Refunds by staff, of a meal's line or of all of it: to where it came from, never more than was paid."""

import json

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from cardservice.audit.models import audit
from cardservice.authorisation.refunding import Wish
from cardservice.authorisation.refunds import Refund, Refunded, give, preview
from cardservice.cli import main
from cardservice.context import Context
from cardservice.errors import IdConflict, OrderInvalid, RefundRefused, TransactionUnknown
from cardservice.ids import TransactionId, new_id
from cardservice.ledger.verify import verify
from pki.statements import TransactionStatement
from tests.cardservice.authorisation.test_meals import LUNCH, LUNCH_MINOR, PRICES, School
from tests.cardservice.authorisation.test_meals import school as school  # noqa: PLC0414 - a fixture
from tests.cardservice.conftest import PASSPHRASE
from tests.support.council import annulment

MAIN, MILK = PRICES["meal-pasta"], PRICES["milk"]


@pytest.fixture
def lunch(school: School) -> TransactionStatement:
    """Ada's lunch: a main meal, and milk."""
    statement = school.statement(school.ada, LUNCH)
    assert school.send(school.ada, LUNCH, statement).json["decision"] == "approved"
    return statement


def refund(
    school: School, statement: TransactionStatement, line: int | None = None, amount_minor: int | None = None
) -> Refunded:
    """What staff give back."""
    wish = Wish(TransactionId(statement.id), line, amount_minor)
    return give(school.council.context, Refund(wish), actor="test")


def test_a_line_is_given_back_in_parts_and_then_the_rest(school: School, lunch: TransactionStatement) -> None:
    """The counter of the day goes down by as much, and the whole is never more than was paid."""
    before = school.council.balances(school.family)
    assert refund(school, lunch, 2).amount_minor == MILK
    assert refund(school, lunch, 1, 100).amount_minor == 100
    assert school.used(school.ada) == {"2026-06-15": LUNCH_MINOR - MILK - 100}
    with pytest.raises(RefundRefused) as refused:
        refund(school, lunch, 1, MAIN - 99)
    assert (refused.value.reason, refused.value.left_minor) == ("more_than_left", MAIN - 100)
    with pytest.raises(RefundRefused) as refused:
        refund(school, lunch, 2)
    assert refused.value.reason == "nothing_to_refund"
    assert refund(school, lunch).amount_minor == MAIN - 100
    assert set(school.used(school.ada).values()) == {0}
    assert school.council.balances(school.family) == (before[0] + LUNCH_MINOR, 0)
    assert verify(school.council.context.database).is_clean


def test_an_annulment_after_a_refund_gives_back_what_is_left(
    school: School, lunch: TransactionStatement
) -> None:
    before = school.council.balances(school.family)
    refund(school, lunch, 1, 100)
    reply = school.till.post("/v1/authorisations", annulment(school.till, school.ada, lunch.id))
    assert (reply.outcome, reply.json["amount_minor"]) == ((200, "annulled"), LUNCH_MINOR - 100)
    assert school.council.balances(school.family) == (before[0] + LUNCH_MINOR, 0)
    assert set(school.used(school.ada).values()) == {0}
    with pytest.raises(RefundRefused):
        refund(school, lunch)


def test_the_last_source_of_a_line_comes_first(school: School) -> None:
    """A main meal that ended in arrears: what was owed for it goes first."""
    [prepaid, _] = school.council.balances(school.family)
    # All but 100 are spent on milk, a tray at a time.
    while prepaid - 100 >= MILK:
        quantity = min(9, (prepaid - 100) // MILK)
        assert school.sell(school.ben, {"milk": quantity}).json["decision"] == "approved"
        prepaid -= quantity * MILK
    statement = school.statement(school.ada, {"meal-pasta": 1})
    assert school.send(school.ada, {"meal-pasta": 1}, statement).json["decision"] == "approved"
    assert school.council.balances(school.family) == (0, prepaid - MAIN)
    shown = preview(school.council.context, Refund(Wish(TransactionId(statement.id), 1)))
    assert [(each.credit, each.amount_minor) for each in shown.transfers] == [
        ("payer:arrears", MAIN - prepaid),
        ("payer:prepaid", prepaid),
    ]
    refund(school, statement, 1, MAIN - prepaid + 1)
    assert school.council.balances(school.family) == (1, 0)


def test_what_is_no_sale_is_not_refunded(school: School, lunch: TransactionStatement) -> None:
    context = school.council.context
    done = Refund(Wish(TransactionId(lunch.id)))
    give(context, done, actor="test")
    again = give(context, done, actor="test")
    assert (again.repeated, again.amount_minor) == (True, LUNCH_MINOR)
    with pytest.raises(IdConflict):
        give(context, Refund(Wish(TransactionId(lunch.id), 1), done.id), actor="test")
    # A reversal is not reversed: the sale is made again.
    with pytest.raises(RefundRefused, match="Only sales"):
        give(context, Refund(Wish(done.id)), actor="test")
    with pytest.raises(TransactionUnknown):
        give(context, Refund(Wish(TransactionId(new_id()))), actor="test")
    with pytest.raises(OrderInvalid):
        Refund(Wish(TransactionId(lunch.id), amount_minor=0))
    declined = school.statement(school.ada, {"milk": 1}, amount_minor=1)
    assert school.send(school.ada, {"milk": 1}, declined).json["decision"] == "declined"
    with pytest.raises(RefundRefused, match="Nothing was charged"):
        refund(school, declined)


def test_a_terminal_refunds_its_own_providers_sales(school: School, lunch: TransactionStatement) -> None:
    """Once, by its id; under whoever paid, though somebody else pays by now."""
    before = school.council.balances(school.family)
    wanted = {"id": str(new_id()), "sale": str(lunch.id), "card": str(school.ada.id), "line": 2}
    school.council.clock.advance(seconds=1)
    now_pays = school.council.family(school.ada)
    for repeated in (False, True):
        reply = school.till.post("/v1/refunds", wanted)
        assert reply.outcome == (200, "refunded")
        assert (reply.json["kind"], reply.json["amount_minor"], reply.json["repeated"]) == (
            "refund",
            MILK,
            repeated,
        )
    assert reply.json["receipt"] == [{"label": "Carton of milk", "amount_minor": MILK}]
    assert school.council.balances(school.family) == (before[0] + MILK, 0)
    assert school.council.balances(now_pays) == (0, 0)
    other = {**wanted, "amount_minor": 1}
    assert school.till.post("/v1/refunds", other).outcome == (409, "id_conflict")
    refused = school.till.post("/v1/refunds", {**wanted, "id": str(new_id())})
    assert refused.outcome == (422, "refund_refused")
    assert (refused.json["reason"], refused.json["left_minor"]) == ("nothing_to_refund", 0)
    council = school.council
    council.provider("other-kitchen")
    others = council.terminal("till-9", "till", provider="other-kitchen")
    for terminal in (others, council.terminal("door-1", "validator", provider="school-kitchen")):
        reply = terminal.post("/v1/refunds", {**wanted, "id": str(new_id()), "line": 1})
        code = "refund_refused" if terminal is others else "role_not_allowed"
        assert reply.json["code"] == code
    unknown = {**wanted, "id": str(new_id()), "card": str(new_id())}
    assert school.till.post("/v1/refunds", unknown).outcome == (422, "card_unknown")


def run(context: Context, *arguments: str) -> Result:
    """The command in this process."""
    settings = {
        "CARDSERVICE_MODE": "development",
        "CARDSERVICE_DATABASE_URL": context.settings.database_url,
        "CARDSERVICE_PKI_DIR": str(context.settings.pki_dir),
        "CARDSERVICE_PASSPHRASE": PASSPHRASE.decode(),
        "CARDSERVICE_PUBLIC_ORIGIN": context.settings.public_origin,
    }
    return CliRunner().invoke(main, list(arguments), env=settings)


def test_the_command_shows_first_and_then_does_it_once(
    context: Context, school: School, lunch: TransactionStatement
) -> None:
    """A preview posts nothing and leaves no trace; the refund is noted without its amount."""
    before = school.council.balances(school.family)
    order = ("refund", str(lunch.id), "--line", "1", "--amount", "1.00", "--json")
    shown = run(context, *order, "--preview")
    assert shown.exit_code == 0, shown.output
    assert (json.loads(shown.stdout)["amount_minor"], json.loads(shown.stdout)["refund"]) == (100, None)
    assert school.council.balances(school.family) == before
    own_id = str(new_id())
    for repeated in (False, True):
        done = run(context, *order, "--id", own_id)
        assert done.exit_code == 0, done.output
        values = json.loads(done.stdout)
        assert (values["refund"], values["repeated"], values["amount_minor"]) == (own_id, repeated, 100)
    assert school.council.balances(school.family) == (before[0] + 100, 0)
    with context.database.reading() as connection:
        [noted] = connection.execute(select(audit).where(audit.c.action == "refund.give"))
    assert (noted.subject, noted.detail) == (own_id, {"sale": str(lunch.id), "line": 1})
    refused = run(context, "refund", str(lunch.id), "--amount", "99.00")
    assert (refused.exit_code, refused.stderr) == (
        1,
        "cardservice: That is more than is left to give back.\n",
    )
