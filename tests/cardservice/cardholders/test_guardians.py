"""Who may act for a child: what for, how long, and never who is barred; by command, on both databases."""

import json
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from cardservice.audit.models import audit
from cardservice.cardholders.erasure import erase_cardholder
from cardservice.cardholders.errors import AskerRefused
from cardservice.cardholders.export import export_person
from cardservice.cardholders.models import guardianship
from cardservice.database import Database
from tests.cardservice.applications.test_applications import Desk
from tests.cardservice.cardholders.test_erasure import places
from tests.support.council import ACTOR, Council

ORDER = "Order of the Family Court at Ashcombe 17/2026"


@pytest.fixture
def desk(council: Council) -> Desk:
    """A desk of the council's."""
    return Desk(council)


def person(desk: Desk, name: str, born_on: str | None = None) -> str:
    """Somebody with a record."""
    holder = str(desk.ok("cardholder", "add", name)["cardholder"])
    if born_on is not None:
        desk.ok("cardholder", "born", holder, born_on)
    return holder


@pytest.fixture
def ava(desk: Desk) -> str:
    """A child of fifteen, on the day before her birthday."""
    return person(desk, "Ava Reed", "2010-06-16")


@pytest.fixture
def kim(desk: Desk) -> str:
    """A grown person."""
    return person(desk, "Kim Reed", "1985-02-02")


def add(desk: Desk, child: str, guardian: str, *more: str) -> str:
    """A guardianship."""
    return str(desk.ok("cardholder", "guardian", "add", child, guardian, *more)["guardianship"])


def limit(desk: Desk, child: str, asker: str) -> Any:
    """A limit that somebody asks for; the sentence of a refusal, or nothing."""
    result = desk.run("limit", "set", child, "meals.day", "3.50", "--asked-by", asker)
    assert result.exit_code in {0, 1}, result.output
    return result.stderr if result.exit_code else ""


def test_a_guardian_may_what_was_given(desk: Desk, ava: str, kim: str) -> None:
    """No more, for no other child, and each time it is noted of both."""
    other = person(desk, "Noah Reed", "2012-01-01")
    add(desk, ava, kim, "--may", "limits", "--relation", "carer")
    assert limit(desk, ava, kim) == ""
    assert "may not act for that one" in limit(desk, other, kim)
    assert "report-loss is missing" in desk.refused(
        *("card", "report", card_of(desk, ava), "lost", "--reason", "by telephone", "--asked-by", kim)
    )
    assert "see is missing" in desk.refused("cardholder", "export", ava, "nowhere", "--asked-by", kim)
    assert "pay is missing" in desk.refused("topup", ava, "5.00", "--asked-by", kim)
    desk.ok("service", "off", ava, "library", "--asked-by", kim)
    # Whoever it is about may ask, and a new guardianship takes the place of the one before.
    assert limit(desk, ava, ava) == ""
    add(desk, ava, kim)
    desk.ok("topup", ava, "5.00", "--asked-by", kim)
    listed = desk.ok("cardholder", "guardian", "list", ava)["guardians"]
    assert [(each["ended"], each["relation"], each["may"]) for each in listed] == [
        (True, "carer", ["limits"]),
        (False, "parent", ["limits", "pay", "report-loss", "see"]),
    ]
    for holder in (ava, kim):
        told = [each["action"] for each in desk.ok("cardholder", "accesses", holder)["accesses"]]
        assert (told.count("guardian.acted"), told.count("cardholder.guardians")) == (3, 1)
    refused = [each for each in actions(desk) if each[0] == "guardian.refused"]
    assert {reason for _, reason in refused} == {"right_missing", "not_a_guardian"}


def card_of(desk: Desk, holder: str) -> str:
    """A card that is in use."""
    ordered = desk.ok("card", "order", holder, "--kind", "young-citizen")
    desk.make(ordered["order"])
    return str(ordered["card"])


def actions(desk: Desk) -> list[tuple[str, Any]]:
    """What was done, and why it was refused."""
    with desk.context.database.reading() as connection:
        rows = connection.execute(select(audit.c.action, audit.c.detail)).all()
    return [(row.action, row.detail.get("reason")) for row in rows]


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_a_guardian_reports_a_loss(desk: Desk, ava: str, kim: str) -> None:
    """The card is revoked, as for its holder."""
    add(desk, ava, kim, "--may", "report-loss")
    card = card_of(desk, ava)
    desk.ok("card", "report", card, "lost", "--reason", "by telephone", "--asked-by", kim)
    assert desk.state(card) == "revoked"


def test_it_ends_with_the_childs_age_and_with_its_last_day(desk: Desk, ava: str, kim: str) -> None:
    """By itself: nobody has to remember it; and from its first day on."""
    noah = person(desk, "Noah Reed", "2012-01-01")
    add(desk, ava, kim)
    add(desk, noah, kim, "--from", "2026-06-16", "--until", "2026-06-17")
    assert limit(desk, ava, kim) == ""
    assert "may not act" in limit(desk, noah, kim)
    desk.council.clock.advance(days=1)
    assert "from the age of 16 on" in limit(desk, ava, kim)
    assert limit(desk, noah, kim) == ""
    desk.council.clock.advance(days=2)
    assert "may not act" in limit(desk, noah, kim)
    assert "guardians act for who is under 16" in desk.refused("cardholder", "guardian", "add", ava, kim)
    assert desk.ok("cardholder", "guardian", "family", kim)["children"] == []


def test_who_is_barred_is_told_nothing(desk: Desk, ava: str, kim: str, tmp_path: Any) -> None:
    """Whatever rights they have; and of such a child nothing is told without saying to whom."""
    lee = person(desk, "Lee Reed")
    for parent in (kim, lee):
        add(desk, ava, parent)
    desk.ok("cardholder", "address", ava, "--street", "Hidden Row", "--postcode", "QX37 9ZW")
    desk.ok("cardholder", "flag", ava, "protected_address")
    bar = desk.ok("cardholder", "guardian", "bar", ava, lee, "--order", ORDER)["guardianship"]
    for asked in (
        ("limit", "lift", ava, "meals.day"),
        ("topup", ava, "5.00"),
        ("cardholder", "export", ava, str(tmp_path / "none")),
    ):
        assert "a court has barred this person" in desk.refused(*asked, "--asked-by", lee)
    assert "say who asks" in desk.refused("cardholder", "export", ava, str(tmp_path / "none"))
    assert not (tmp_path / "none").exists()
    # Whoever serves them in another way than by a command is held to it, too.
    with pytest.raises(AskerRefused, match="say who asks"), desk.context.database.begin() as connection:
        export_person(desk.context, connection, UUID(ava), actor=ACTOR)
    assert [each for each in actions(desk) if each[0] == "guardian.refused"] == [
        *[("guardian.refused", "barred")] * 3,
        ("guardian.refused", "asker_needed"),
    ]
    desk.ok("cardholder", "export", ava, str(tmp_path / "kim"), "--asked-by", kim)
    told = json.loads((tmp_path / "kim" / "record.json").read_text("utf-8"))
    # The guardian is told neither where the child lives nor of the others; the child is.
    assert (told["record"]["address"], len(told["guardians"]), told["guardian_of"]) == ("protected", 1, [])
    assert ORDER not in json.dumps(told)
    desk.ok("cardholder", "export", ava, str(tmp_path / "own"), "--asked-by", ava)
    told = json.loads((tmp_path / "own" / "record.json").read_text("utf-8"))
    assert told["record"]["address"]["street"] == "Hidden Row"
    assert [each["barred_by"] for each in told["guardians"]] == [None, None, ORDER]
    assert {each["other_person"] for each in told["guardians"]} == {"left out"}
    text = (tmp_path / "own" / "record.txt").read_text("utf-8")
    assert "other person: left out" in text
    for stranger in (kim, lee, "Kim Reed", "Lee Reed"):
        assert stranger not in text
        assert stranger not in json.dumps(told)
    desk.ok("cardholder", "guardian", "end", ava, bar)
    assert limit(desk, ava, lee) == ""
    assert "has ended already" in desk.refused("cardholder", "guardian", "end", ava, bar)


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_a_family_and_several(desk: Desk, ava: str, kim: str) -> None:
    """Siblings under one payer are told with it; a guardian may have children under several."""
    noah, mia = person(desk, "Noah Reed", "2012-01-01"), person(desk, "Mia Hill", "2013-01-01")
    for child in (ava, noah, mia):
        add(desk, child, kim)
    desk.council.clock.advance(minutes=1)
    family = desk.ok("payer", "add")["payer"]
    for child in (ava, noah):
        desk.ok("payer", "assign", child, family, "--asked-by", kim)
    desk.council.clock.advance(minutes=1)
    found = desk.ok("cardholder", "guardian", "family", kim)["children"]
    told = {each["cardholder"]: (each["payer"] == family, each["siblings_of_that_payer"]) for each in found}
    assert told == {ava: (True, [noah]), noah: (True, [ava]), mia: (False, [])}


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_what_is_no_guardianship(desk: Desk, ava: str, kim: str) -> None:
    """In a sentence; nothing is noted."""
    backwards = ("--from", "2026-09-02", "--until", "2026-09-01")
    assert "is over, or no time" in desk.refused("cardholder", "guardian", "add", ava, kim, *backwards)
    assert "nobody is their own guardian" in desk.refused("cardholder", "guardian", "add", ava, ava)
    nobody = "0b3f0000-0000-7000-8000-000000000000"
    assert "no cardholder" in desk.refused("cardholder", "guardian", "add", ava, nobody)
    assert "no guardianship" in desk.refused("cardholder", "guardian", "end", ava, nobody)
    assert "guardians act for who is under" in desk.refused("cardholder", "guardian", "add", kim, ava)
    assert "court's order" in desk.refused("cardholder", "guardian", "bar", ava, kim, "--order", "x" * 65)
    assert desk.ok("cardholder", "guardian", "list", ava)["guardians"] == []


@pytest.mark.parametrize(
    ("database_kind", "who"), [("postgresql", "child"), ("sqlite", "guardian")], indirect=["database_kind"]
)
def test_when_one_is_erased_the_other_stays(
    desk: Desk, ava: str, kim: str, who: str, owner_database: Database
) -> None:
    """Nothing that is left names who is gone, nor says that there was anybody."""
    add(desk, ava, kim)
    desk.ok("topup", ava, "5.00", "--asked-by", kim)
    assert limit(desk, ava, kim) == ""
    with desk.context.database.reading() as connection:
        assert connection.execute(select(guardianship.c.sealed)).one().sealed
    gone, left = (ava, kim) if who == "child" else (kim, ava)
    if who == "child":
        # What there is of money goes to somebody first.
        family = desk.ok("payer", "add", "--kind", "person")["payer"]
        own = desk.ok("payer", "history", ava)["payers"][-1]["payer"]
        desk.ok("payer", "carry-over", own, family)
    erase_cardholder(desk.context, UUID(gone), actor=ACTOR)
    assert places(owner_database, gone, gone.replace("-", "")) == set()
    assert desk.ok("cardholder", "guardian", "list", left)["guardians"] == []
    assert desk.ok("cardholder", "show", left)["name"]
