"""What is noted of a cardholder by command, shown, and exported for the person: all, and nobody else's."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import insert, select

from cardservice.audit.service import record
from cardservice.cardholders.service import set_photo
from cardservice.circulation.members import join
from cardservice.circulation.models import history, member
from cardservice.cli import main
from cardservice.context import Context
from cardservice.ledger.payers import assign_payer
from cardservice.staff.roles import Role
from tests.cardservice.conftest import PASSPHRASE
from tests.cardservice.staff.people import Staff, add
from tests.support.council import FARE_MINOR, Card, Council, message, new_id, request_for

URL = "/v1/authorisations"


def run(context: Context, *arguments: str) -> Result:
    """The command in this process, with settings from its environment."""
    settings = {
        "CARDSERVICE_MODE": "development",
        "CARDSERVICE_DATABASE_URL": context.settings.database_url,
        "CARDSERVICE_PKI_DIR": str(context.settings.pki_dir),
        "CARDSERVICE_PASSPHRASE": PASSPHRASE.decode(),
        "CARDSERVICE_PUBLIC_ORIGIN": context.settings.public_origin,
    }
    return CliRunner().invoke(main, ["cardholder", *arguments], env=settings)


def ok(context: Context, *arguments: str) -> Any:
    """What a command printed, as JSON."""
    result = run(context, *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_record_is_noted_shown_and_found(context: Context, council: Council) -> None:
    """Each thing by itself; a protected address is shown to those alone who say why, which is noted."""
    holder = str(council.card().holder)
    ok(context, "born", holder, "1987-11-23")
    address = ("--uprn", "100062345917", "--paon", "7", "--street", "Old Row", "--postcode", "QX37 9ZW")
    ok(context, "address", holder, *address)
    ok(context, "contact", holder, "--email", "m.reed@example.org", "--telephone", "+44 20 7946 0000")
    ok(context, "prefer", holder, "larger_text", "more_time", "--language", "cy")
    ok(context, "consent", holder, "notices", "--wording", "2026-1")
    ok(context, "consent", holder, "research", "--withdrawn")
    shown = ok(context, "show", holder)
    assert shown["born_on"] == "1987-11-23"
    where = {"uprn": "100062345917", "paon": "7", "street": "Old Row", "postcode": "QX37 9ZW"}
    assert shown["address"] == where
    assert shown["preferences"] == {"language": "cy", "larger_text": True, "more_time": True}
    said = {purpose: each["given"] for purpose, each in shown["consents"].items()}
    assert said == {"notices": True, "research": False}
    assert shown["consents"]["notices"]["wording"] == "2026-1"
    ok(context, "consent", holder, "notices", "--withdrawn")
    now = ok(context, "show", holder)["consents"]["notices"]
    assert (now["given"], now["before"]) == (False, [shown["consents"]["notices"]])
    ok(context, "flag", holder, "protected_address")
    shown = ok(context, "show", holder)
    assert (shown["address"], shown["contact"]) == ("protected", "protected")
    assert ok(context, "show", holder, "--address-because", "a letter is due")["address"] == where
    assert "20 7946" not in run(context, "show", holder).stdout
    # Nor is it told, or tried out, by looking for somebody.
    [found] = ok(context, "find", "mor", "--born-on", "1987-11-23")["cardholders"]
    assert (found["cardholder"], found["postcode"]) == (holder, None)
    assert ok(context, "find", "mor", "--postcode", "QX37")["cardholders"] == []
    ok(context, "flag", holder, "protected_address", "--off")
    found = ok(context, "find", "mor", "--born-on", "1987-11-23", "--postcode", "QX37")["cardholders"]
    assert [each["cardholder"] for each in found] == [holder]
    ok(context, "address", holder, "--none")
    shown = ok(context, "show", holder)
    assert (shown["flags"], shown["address"]) == (None, None)
    reads = [each["action"] for each in ok(context, "accesses", holder)["accesses"] if each["read"]]
    assert reads == [*["cardholder.show"] * 5, *["cardholder.find"] * 2, "cardholder.show"]
    # For a person: a line for each, with what was changed.
    lines = run(context, "accesses", holder).stdout.splitlines()
    assert sum(line.endswith("cli:root  cardholder.set  address") for line in lines) == 2
    assert {line.split("  ")[2] for line in lines} >= {"cardholder.add", "cardholder.show"}


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_protected_address_is_for_those_with_the_right(context: Context, council: Council) -> None:
    """Why is not enough at a desk; who posts letters may see it."""
    holder = str(council.card().holder)
    ok(context, "address", holder, "--street", "Old Row", "--postcode", "QX37 9ZW")
    ok(context, "flag", holder, "protected_address")
    for name, role in (("ann", Role.ADMINISTRATOR), ("dee", Role.DESK), ("ian", Role.ISSUER)):
        add(context, name, role)
    staff = Staff(context)
    staff.is_at_the_keyboard("dee")
    refused = run(context, "show", holder, "--address-because", "she asks")
    assert (refused.exit_code, "roles that cover it: issuer" in refused.stderr) == (1, True), refused.output
    assert ok(context, "show", holder)["address"] == "protected"
    staff.is_at_the_keyboard("ian")
    told = ok(context, "show", holder, "--address-because", "a letter is due")
    assert told["address"]["street"] == "Old Row"


def test_who_has_read_a_statement(context: Context, council: Council) -> None:
    """Of a payer of one's own it is told; of a family's, for which others are, it is not."""
    morgan, ava = council.card(), council.card()
    council.clock.advance(minutes=1)
    family = council.family(morgan)
    share(council, ava, family)
    for payer in (morgan.payer, family):
        with context.database.begin() as connection:
            record(connection, "cli:ann", "payer.statement", payer, council.clock())
    for holder, reads in ((morgan.holder, ["payer.statement"]), (ava.holder, [])):
        told = ok(context, "accesses", str(holder))["accesses"]
        assert [each["action"] for each in told if each["read"]] == reads


def test_what_follows_of_a_consent_is_done_with_it(context: Context, council: Council) -> None:
    """A photo that is not to be kept is gone; what a reader has borrowed is kept, and forgotten."""
    holder, moment = council.card().holder, council.clock()
    with context.database.begin() as connection:
        set_photo(connection, council.kek, holder, b"\xff\xd8 a face", actor="test", moment=moment)
        join(connection, holder, "2000123", None, by="test", moment=moment)
    for purpose in ("photo", "loan_history"):
        ok(context, "consent", str(holder), purpose, "--wording", "2026-1")
    assert (ok(context, "show", str(holder))["photo_bytes"], _keeps_history(context)) == (9, True)
    day = moment.date()
    book = {"id": new_id(), "cardholder_id": holder, "title": "Emma", "lent_on": day, "returned_on": day}
    with context.database.begin() as connection:
        connection.execute(insert(history).values(**book))
    for purpose in ("photo", "loan_history"):
        ok(context, "consent", str(holder), purpose, "--withdrawn")
    assert (ok(context, "show", str(holder))["photo_bytes"], _keeps_history(context)) == (None, False)
    with context.database.reading() as connection:
        assert connection.execute(select(history)).all() == []


def _keeps_history(context: Context) -> bool | None:
    with context.database.reading() as connection:
        return connection.scalar(select(member.c.keeps_history))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("born", "2031-02-30"), "is no date"),
        (("born", "1031-02-20"), "nobody who was born"),
        (("address", "--uprn", "0123"), "UPRN"),
        (("address", "--postcode", "qx37 9zw"), "postcode"),
        (("address", "--street", "Old\nRow"), "street"),
        (("contact", "--email", "nobody"), "e-mail"),
        (("contact", "--telephone", "ring twice"), "telephone"),
        (("consent", "notices"), "which version of the wording"),
        (("consent", "notices", "--wording", "the newest one"), "no version of a wording"),
        (("prefer", "--language", "Welsh please"), "language"),
    ],
)
def test_what_is_none_is_refused(
    context: Context, council: Council, arguments: tuple[str, ...], reason: str
) -> None:
    """In a sentence, with exit status 1, and nothing changed."""
    holder = str(council.card().holder)
    result = run(context, arguments[0], holder, *arguments[1:])
    assert (result.exit_code, reason in result.stderr) == (1, True), result.output
    assert ok(context, "show", holder)["address"] is None


def test_all_that_is_kept_of_a_person(context: Context, council: Council, tmp_path: Path) -> None:
    """What their card did, also while a family paid; of others for whom that family pays: nothing."""
    bus = council.terminal("bus-1")
    morgan, ava = council.card(top_up_minor=1000), council.card(top_up_minor=1000)
    ok(context, "set", str(morgan.holder), "--form", "Kestrel 9B", "--allergen", "nuts")
    ride(bus, morgan)
    council.clock.advance(minutes=1)
    family = council.family(morgan, top_up_minor=2000)
    share(council, ava, family)
    mine, other = ride(bus, morgan), ride(bus, ava)
    ok(context, "export", str(morgan.holder), str(tmp_path / "told"))
    told = json.loads((tmp_path / "told" / "record.json").read_text("utf-8"))
    assert told["record"]["name"] == "Morgan Reed"
    assert (told["record"]["form"], told["record"]["allergens"]) == ("Kestrel 9B", ["nuts"])
    assert [each["card"] for each in told["cards"]] == [str(morgan.id)]
    assert told["cards"][0]["states"][-1]["state"] == "active"
    assert [each["accounts"] is None for each in told["payers"]] == [False, True]
    of_card = [each for each in told["transactions"] if each["service"] == "transport"]
    assert [each["amount_minor"] for each in of_card] == [FARE_MINOR] * 2
    assert of_card[1]["transaction"] == mine
    assert of_card[1]["details"]["from_stop"] == "market-place"
    assert told["accesses"][-1] | {"at": ""} == {
        "at": "",
        "by": "staff",
        "what": "cardholder.export",
        "changed": None,
        "read": True,
    }
    text = (tmp_path / "told" / "record.txt").read_text("utf-8")
    assert "name: Morgan Reed" in text
    # Amounts as people write them, moments in the scheme's time.
    assert "amount: 2.40 GBP" in text
    assert "15 June 2026, 11:00" in text
    assert not (tmp_path / "told" / "photo.jpg").exists()
    for stranger in (str(ava.holder), str(ava.id), other):
        assert stranger not in text
        assert stranger not in json.dumps(told)
    again = run(context, "export", str(morgan.holder), str(tmp_path / "told"))
    assert (again.exit_code, "File exists" in again.stderr) == (1, True)


def ride(bus: Any, card: Card) -> str:
    """A trip that was paid; its id."""
    body = message(request_for(bus, card), card)
    answer = bus.post(URL, body)
    assert answer.json["decision"] == "approved", answer
    return str(answer.json["id"])


def share(council: Council, card: Card, family: Any) -> None:
    """The family pays for this card's holder, too."""
    with council.context.database.begin() as connection:
        assign_payer(connection, card.holder, family, council.clock(), council.clock())
