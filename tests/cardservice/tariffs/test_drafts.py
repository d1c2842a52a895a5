"""Drafts: nothing counts before a second person has approved it; the way back; what is kept of whom."""

from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from cardservice.audit.models import audit
from cardservice.config import TariffApproval
from cardservice.context import Context
from cardservice.errors import ApprovalRefused, DraftClosed, DraftUnknown, OrderInvalid
from cardservice.ledger.resources import read_resource
from cardservice.tariffs import desk, drafts
from cardservice.tariffs.models import tariff, tariff_draft
from cardservice.tariffs.service import store_tariff, tariff_in_force
from tests.cardservice.services import leisure_tariffs, menus
from tests.support.council import StandingClock

ANN, BEN = "cli:ann", "cli:ben"


def in_force(context: Context, service: str = "leisure") -> str | None:
    """The version that counts now."""
    with context.database.reading() as connection:
        found = tariff_in_force(connection, service, context.now())
    return None if found is None else found.version


def offered(context: Context, folder: Path, price: str = "7.00", actor: str = ANN) -> desk.Offered:
    """A draft of the tests' leisure tariff with another price of the gym."""
    file = leisure_tariffs.written(folder, lambda values: values["prices"][0].update(price=price))
    return desk.load(context, "leisure", [file], actor=actor)


def test_a_draft_counts_once_another_has_approved_it(context: Context, tmp_path: Path) -> None:
    """Neither prices nor places of sessions are there before."""
    made = offered(context, tmp_path).draft
    assert made is not None
    assert in_force(context) is None
    [session, *_] = made.loaded.capacities
    with context.database.reading() as connection:
        assert read_resource(connection, "leisure", session) is None
    approved = desk.approve(context, made.id, actor=BEN)
    assert (approved.state, approved.closed_by) == ("approved", BEN)
    assert in_force(context) == made.loaded.version
    with context.database.reading() as connection:
        assert read_resource(connection, "leisure", session) is not None
        row = connection.execute(select(tariff).where(tariff.c.service == "leisure")).one()
        assert (row.actor, row.approved_by, row.one_person) == (ANN, BEN, False)
        trail = connection.execute(select(audit.c.actor, audit.c.action).where(audit.c.actor.in_([ANN, BEN])))
        assert {tuple(row) for row in trail} == {
            (ANN, "tariff.draft"),
            (ANN, "tariff.load"),
            (BEN, "tariff.approve"),
        }


def test_who_has_loaded_it_cannot_approve_it(context: Context, tmp_path: Path) -> None:
    """Not by our code, nor by the tables; a scheme may say that one person is enough, and that is noted."""
    made = offered(context, tmp_path).draft
    assert made is not None
    with pytest.raises(ApprovalRefused, match="somebody else"):
        desk.approve(context, made.id, actor=ANN)
    own = tariff_draft.c
    alone = update(tariff_draft).where(own.id == made.id)
    values = {"state": "approved", "closed_by": ANN, "closed_at": context.now()}
    with pytest.raises(IntegrityError), context.database.begin() as connection:
        connection.execute(alone.values(values))
    with pytest.raises(IntegrityError), context.database.begin() as connection:
        store_tariff(
            *(connection, "leisure", made.loaded), source="", actor=ANN, approved_by=ANN, moment=context.now()
        )
    assert in_force(context) is None
    relaxed = replace(context, settings=replace(context.settings, tariff_approval=TariffApproval.ONE_PERSON))
    desk.approve(relaxed, made.id, actor=ANN)
    with context.database.reading() as connection:
        row = connection.execute(select(tariff).where(tariff.c.service == "leisure")).one()
        assert (row.approved_by, row.one_person) == (None, True)


def test_at_once_is_for_one_person_alone(context: Context, tmp_path: Path) -> None:
    """Refused before anything is stored."""
    file = menus.written(tmp_path, lambda _: None)
    with pytest.raises(ApprovalRefused):
        desk.load(context, "meals", [file], actor=ANN, at_once=True)
    with context.database.reading() as connection:
        assert drafts.open_drafts(connection) == ()


def test_a_draft_is_closed_once(context: Context, tmp_path: Path) -> None:
    """Loaded twice it is one; withdrawn it is not approved; loaded again it is another."""
    made = offered(context, tmp_path).draft
    again = offered(context, tmp_path, actor=BEN).draft
    assert made is not None
    assert again is not None
    assert (again.id, again.author) == (made.id, ANN)
    desk.withdraw(context, made.id, "a wrong price", actor=ANN)
    with pytest.raises(DraftClosed, match="withdrawn by cli:ann"):
        desk.approve(context, made.id, actor=BEN)
    with pytest.raises(DraftClosed, match="withdrawn by cli:ann"):
        desk.withdraw(context, made.id, "again", actor=BEN)
    with pytest.raises(DraftUnknown):
        desk.approve(context, uuid4(), actor=BEN)
    anew = offered(context, tmp_path).draft
    assert anew is not None
    assert anew.id != made.id
    desk.approve(context, anew.id, actor=BEN)
    assert offered(context, tmp_path).draft is None, "the same is in force"


def test_what_a_draft_says_is_never_changed(context: Context, tmp_path: Path) -> None:
    """On PostgreSQL the service's role has no right to; SQLite knows no roles."""
    made = offered(context, tmp_path).draft
    assert made is not None
    if context.settings.is_sqlite:
        pytest.skip("SQLite knows no roles")
    with pytest.raises(DBAPIError, match="permission denied"), context.database.begin() as connection:
        connection.execute(update(tariff_draft).values(content="{}"))


def test_the_preview_says_what_changes(context: Context, tmp_path: Path) -> None:
    """Against the version that would hold otherwise; a later one in force hides an earlier one."""
    first = offered(context, tmp_path)
    assert first.changes is not None
    assert {change.kind for change in first.changes.changes} == {"added"}
    assert first.draft is not None
    desk.approve(context, first.draft.id, actor=BEN)
    second = offered(context, tmp_path, "7.40")
    assert second.changes is not None
    assert [str(change) for change in second.changes.changes] == [
        "Gym (gym), standard, from 2026-06-01: 7.00 GBP until 2026-12-31 becomes 7.40 GBP until 2026-12-31"
    ]
    assert (second.changes.before, second.changes.at_once) == (first.loaded.version, True)
    earlier = leisure_tariffs.written(tmp_path, lambda values: values.update(first_day="2026-05-01"))
    hidden = desk.load(context, "leisure", [earlier], actor=ANN).changes
    assert hidden is not None
    assert (hidden.hidden, hidden.changes) == (True, ())


def test_the_way_back(context: Context, clock: StandingClock, tmp_path: Path) -> None:
    """An earlier version is drafted anew from now on, by a name of its own, and approved like any."""
    first = offered(context, tmp_path)
    assert first.draft is not None
    desk.approve(context, first.draft.id, actor=BEN)
    second = offered(context, tmp_path, "74.00")
    assert second.draft is not None
    desk.approve(context, second.draft.id, actor=BEN)
    assert in_force(context) == second.loaded.version
    clock.advance(hours=1)
    back = desk.go_back(context, "leisure", first.loaded.version, None, actor=BEN)
    assert back.draft is not None
    assert back.changes is not None
    [change] = back.changes.changes
    assert (change.before or "").startswith("74.00")
    desk.approve(context, back.draft.id, actor=ANN)
    now = in_force(context)
    assert now == back.draft.loaded.version
    assert now is not None
    assert now.startswith(first.loaded.version + "~")
    with context.database.reading() as connection:
        found = tariff_in_force(connection, "leisure", context.now())
    assert found is not None
    prepared = context.tariffs.get(found)
    assert prepared.version == now  # type: ignore[attr-defined]  # it is leisure's own class
    with pytest.raises(OrderInvalid, match="no tariff of version"):
        desk.go_back(context, "leisure", "none", None, actor=BEN)


def test_states_are_held_by_the_table(context: Context) -> None:
    """A closed draft has somebody who closed it."""
    row = {
        **dict.fromkeys(("service", "version", "content", "capacities", "report", "source", "author"), "x"),
        "valid_from": context.now(),
        "drafted_at": context.now(),
        "one_person": False,
    }
    for state in ({"state": "approved"}, {"state": "open", "closed_by": BEN}, {"state": "lost"}):
        with pytest.raises(IntegrityError), context.database.begin() as connection:
            connection.execute(insert(tariff_draft).values(id=uuid4(), **row, **state))
