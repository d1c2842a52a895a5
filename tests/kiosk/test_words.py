"""Every reason that a face can be told has words, and the words keep up with what the others document."""

import re
from pathlib import Path

import pytest
from flask import Blueprint

from cardservice.api.errors import RequestDigestMismatch
from cardservice.authorisation.errors import IdOfAnotherTerminal
from cardservice.errors import MessageRefused
from cardservice.recovery.errors import AnswerMissing
from kiosk import allergens, reasons
from kiosk.web import Face, create_app

DOCS = Path(__file__).parents[2] / "docs"
# Not said at a till or validator: a face sends an amount where there is one, in the currency of the prices.
NEVER_TOLD = {
    "approved",
    "amount_missing",
    "amount_unexpected",
    "currency_mismatch",
    "route_required",
    "route_unknown",
}


def documented(page: str, first: str) -> set[str]:
    """The codes of the table whose head begins so."""
    text = (DOCS / page).read_text("utf-8")
    rows = text[text.index(first) :].split("\n\n")[0]
    return set(re.findall(r"^\| `([a-z_]+)` \|", rows, re.MULTILINE))


@pytest.mark.parametrize(
    ("page", "head"),
    [
        ("services/meals.md", "| reason | a request is declined"),
        ("services/transport.md", "| reason | a request is declined"),
    ],
)
def test_each_documented_reason_of_a_service_has_words(page: str, head: str) -> None:
    found = documented(page, head) - NEVER_TOLD
    assert len(found) > 4
    with create_app(Face("till", 1), Blueprint("none", __name__)).test_request_context():
        assert found - set(reasons.in_words()) == set()


@pytest.mark.parametrize(
    "reason",
    ["card_revoked", "card_suspended", "card_not_active", "card_expired", "card_removed", "tap_spent",
     "certificate_revoked", "status_stale", "service_unreachable", "offline_refused", "interrupted"],
)  # fmt: skip
def test_what_a_card_can_be_refused_for_has_words(reason: str) -> None:
    with create_app(Face("till", 1), Blueprint("none", __name__)).test_request_context():
        assert reasons.in_words()[reason].endswith(".")


def test_what_a_message_is_refused_for_has_words() -> None:
    """A face is told the service's problem code where a terminal's message was refused."""
    found, waiting = (
        {one.code for one in (RequestDigestMismatch, IdOfAnotherTerminal, AnswerMissing)},
        [MessageRefused],
    )
    while waiting:
        below = waiting.pop().__subclasses__()
        # Staff sign in for themselves: no face sends what is theirs.
        found |= {error.code for error in below if not error.__module__.startswith("cardservice.staff.")}
        waiting += below
    assert len(found) > 20
    with create_app(Face("till", 1), Blueprint("none", __name__)).test_request_context():
        assert found - set(reasons.in_words()) == set()


def test_the_allergens_are_those_of_the_menu() -> None:
    text = (DOCS / "services/meals.md").read_text("utf-8")
    found = re.search(r"The fourteen allergens of [^:]+:((?:\s+`[a-z]+`[,.])+)", text)
    assert found is not None
    documented_keys = set(re.findall(r"`([a-z]+)`", found[1]))
    assert len(documented_keys) == 14
    with create_app(Face("till", 1), Blueprint("none", __name__)).test_request_context():
        assert set(allergens.in_words()) == documented_keys


def test_no_words_can_tell_who_pays_less() -> None:
    with create_app(Face("till", 1), Blueprint("none", __name__)).test_request_context():
        for text in reasons.in_words().values():
            assert not re.search(r"\b(free|funded|entitled|benefit|subsid)", text, re.IGNORECASE)
