"""Whose card it is: told to a till, of a card that may be used, and written down each time."""

import json
import logging
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Row, select

from cardservice.audit.models import audit, security_event
from cardservice.cardholders.service import set_allergens, set_form, set_photo
from cardservice.cards import personalisation
from cardservice.cards import service as cards
from cardservice.cards.states import LEADS_TO, CardState
from tests.support.council import (
    ACTOR,
    START,
    Card,
    Council,
    Reply,
    Terminal,
    from_base64url,
    message,
    new_id,
    request_for,
)

URL = "/v1/presentations"
PHOTO = b"a photo, for all that the record knows"
REFUSALS = {
    CardState.SUSPENDED: "card_suspended",
    CardState.EXPIRED: "card_expired",
    CardState.LOST: "card_revoked",
    CardState.STOLEN: "card_revoked",
    CardState.DAMAGED: "card_revoked",
    CardState.WITHDRAWN: "card_revoked",
    CardState.REVOKED: "card_revoked",
}


@pytest.fixture
def till(council: Council) -> Terminal:
    """A till of a school."""
    council.provider("school-kitchen")
    return council.terminal("till-1", "till", provider="school-kitchen")


@pytest.fixture
def ava(council: Council) -> Card:
    """The card of somebody with a form, allergens and a photo."""
    card = council.card("pupil", form="5B", allergens=["nuts", "milk"])
    with council.context.database.begin() as connection:
        set_photo(
            connection,
            council.kek,
            card.holder,
            PHOTO,
            actor=ACTOR,
            moment=council.clock(),
        )
    return card


def shown(terminal: Terminal, card: object) -> Reply:
    """A card is shown to a terminal."""
    return terminal.post(URL, {"card": str(card)})


def reads(council: Council) -> Sequence[Row[Any]]:
    """What is written down of reads at terminals."""
    with council.context.database.reading() as connection:
        return connection.execute(select(audit).where(audit.c.action == "cardholder.present")).all()


def put(council: Council, card: Card, state: CardState) -> None:
    """Give a card a state."""
    with council.context.database.begin() as connection:
        known = cards.require_card(connection, card.id)
        cards.change_state(connection, known, state, reason="test", actor=ACTOR, moment=council.clock())


def test_all_that_a_till_shows(council: Council, till: Terminal, ava: Card) -> None:
    """Name, form, allergens in the order of the law, photo: and nothing else."""
    reply = shown(till, ava.id)
    assert reply.status == 200
    assert from_base64url(reply.json.pop("photo")) == PHOTO
    assert reply.json == {
        "card": str(ava.id),
        "name": "Morgan Reed",
        "form": "5B",
        "allergens": ["milk", "nuts"],
    }


def test_somebody_of_whom_little_is_known(council: Council, till: Terminal) -> None:
    """What there is not is said to be not there."""
    card = council.card()
    assert shown(till, card.id).json == {
        "card": str(card.id),
        "name": "Morgan Reed",
        "form": None,
        "allergens": [],
        "photo": None,
    }


def test_what_was_taken_away_is_not_shown(council: Council, till: Terminal, ava: Card) -> None:
    """Each thing can be changed and be taken away; the answer is the record's."""
    with council.context.database.begin() as connection:
        for allergens in (["eggs", "eggs"], ["molluscs", "gluten"]):
            set_allergens(
                connection,
                council.kek,
                ava.holder,
                allergens,
                actor=ACTOR,
                moment=council.clock(),
            )
        set_form(
            connection,
            council.kek,
            ava.holder,
            "6A",
            actor=ACTOR,
            moment=council.clock(),
        )
    changed = shown(till, ava.id).json
    assert (changed["form"], changed["allergens"]) == ("6A", ["gluten", "molluscs"])
    with council.context.database.begin() as connection:
        set_allergens(
            connection,
            council.kek,
            ava.holder,
            [],
            actor=ACTOR,
            moment=council.clock(),
        )
        set_form(
            connection,
            council.kek,
            ava.holder,
            None,
            actor=ACTOR,
            moment=council.clock(),
        )
        set_photo(
            connection,
            council.kek,
            ava.holder,
            None,
            actor=ACTOR,
            moment=council.clock(),
        )
    bare = shown(till, ava.id).json
    assert (bare["form"], bare["allergens"], bare["photo"]) == (None, [], None)


def test_each_answer_is_a_read_that_is_written_down(council: Council, till: Terminal, ava: Card) -> None:
    """Who, whom and when, each time; no value of the record."""
    shown(till, ava.id)
    council.clock.advance(minutes=1)
    shown(till, ava.id)
    found = reads(council)
    assert [(row.actor, row.subject, row.at - START, row.detail) for row in found] == [
        ("terminal:till-1", str(ava.holder), timedelta(), {}),
        ("terminal:till-1", str(ava.holder), timedelta(minutes=1), {}),
    ]


def test_what_is_not_written_down_is_not_told(
    council: Council, till: Terminal, ava: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the audit log cannot take it there is no answer."""
    monkeypatch.setattr("cardservice.presentations.service.record", lambda *_: 1 / 0)
    reply = shown(till, ava.id)
    assert reply.outcome == (500, "internal_error")
    assert "Morgan" not in json.dumps(reply.json)


def test_the_log_names_nobody(
    council: Council, till: Terminal, ava: Card, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the holder nor the card: the request's line has the route and the terminal."""
    with caplog.at_level(logging.INFO):
        shown(till, ava.id)
    [line] = [record for record in caplog.records if record.name == "cardservice.requests"]
    assert (line.__dict__["members"]["route"], line.__dict__["members"]["terminal"]) == (URL, "till-1")
    written = "".join(str(record.__dict__) for record in caplog.records)
    # The form as a word of its own: two such characters may come about in an identifier or a signature.
    words = ("Morgan", str(ava.id), str(ava.holder), "milk", r"(?<![\w-])5B(?![\w-])")
    assert [word for word in words if re.search(word, written)] == []


def test_a_card_before_it_is_handed_over(council: Council, till: Terminal) -> None:
    """Ordered, it belongs to somebody, of whom nothing is told."""
    holder = council.card().holder
    with council.context.database.begin() as connection:
        order = personalisation.order_card(connection, holder, "citizen", actor=ACTOR, moment=council.clock())
    assert shown(till, order.card_id).outcome == (422, "card_not_active")
    assert reads(council) == []


@pytest.mark.parametrize("state", sorted(LEADS_TO[CardState.ACTIVE]))
def test_a_card_that_may_not_be_used(council: Council, till: Terminal, ava: Card, state: CardState) -> None:
    """Refused with the reason that a sale is declined with; nothing personal, and nothing to write down."""
    put(council, ava, state)
    reply = shown(till, ava.id)
    assert reply.outcome == (422, REFUSALS[state])
    assert set(reply.json) == {"type", "title", "status", "detail", "code"}
    assert "Morgan" not in json.dumps(reply.json)
    assert reads(council) == []


def test_a_suspended_card_that_is_active_again(council: Council, till: Terminal, ava: Card) -> None:
    """The state of the moment counts."""
    put(council, ava, CardState.SUSPENDED)
    council.clock.advance(seconds=1)
    put(council, ava, CardState.ACTIVE)
    assert shown(till, ava.id).status == 200


@pytest.mark.parametrize("early", [True, False])
def test_the_end_of_a_card_is_the_same_as_for_a_sale(council: Council, ava: Card, early: bool) -> None:
    """Its certificate ends with its last day: then a sale is declined, too."""
    last = START.replace(year=START.year + 5, hour=23, minute=59)
    council.clock.moment = last if early else last + timedelta(minutes=1)
    council.provider("school-kitchen")
    till = council.terminal("till-1", "till", provider="school-kitchen")
    council.load_menu()
    sale = till.post(
        "/v1/authorisations", message(request_for(till, ava, service="meals", action="sale"), ava)
    )
    seen = shown(till, ava.id)
    if early:
        assert (seen.status, sale.json["reason"]) == (200, "details_malformed")
    else:
        assert (seen.outcome, sale.json["reason"]) == ((422, "card_expired"), "card_expired")


def test_an_unknown_card(council: Council, till: Terminal, ava: Card) -> None:
    """Of no card and of no cardholder."""
    for identity in (new_id(), ava.holder):
        assert shown(till, identity).outcome == (422, "card_unknown")


@pytest.mark.parametrize("role", ["validator", "issuer"])
def test_other_roles_see_nobody(council: Council, ava: Card, role: str) -> None:
    """Refused before anything is read, and noted: a validator that asks for names is not in order."""
    other = council.terminal("other-1", role)
    assert shown(other, ava.id).outcome == (403, "role_not_allowed")
    assert reads(council) == []
    with council.context.database.reading() as connection:
        [event] = connection.execute(select(security_event))
    assert (event.code, event.terminal_id) == ("role_not_allowed", "other-1")


def test_a_revoked_till_sees_nobody(council: Council, till: Terminal, ava: Card) -> None:
    """From the moment of its revocation on."""
    council.revoke_terminal("till-1")
    assert shown(till, ava.id).outcome == (403, "terminal_revoked")


@pytest.mark.parametrize("body", [{}, {"card": None}, {"card": "5B"}, {"card": str(new_id()), "name": "x"}])
def test_malformed(council: Council, till: Terminal, body: dict[str, Any]) -> None:
    """A card's identifier, and nothing else."""
    assert till.post(URL, body).outcome == (400, "malformed")
