"""A request, its annulment and the advice that replaces it: in whatever order they arrive, paid once.

What to post is decided here by the rules of docs/ledger.md, on what reading tells; the service decides by the
same rules with all that belongs to an answer.
"""

from dataclasses import replace
from datetime import timedelta
from itertools import permutations

import pytest

from cardservice.database import Database
from cardservice.ids import CardholderId, PayerId, TransactionId
from cardservice.ledger.payers import assign_payer, payer_at, payers_of
from cardservice.ledger.posting import post
from cardservice.ledger.reading import read
from cardservice.ledger.values import KnownTransaction, Outcome, PayerView, Posting, PostingResult, ReadQuery
from cardservice.ledger.verify import verify
from tests.cardservice.ledger.conftest import MakePayer
from tests.cardservice.ledger.postings import (
    MOMENT,
    new_transaction_id,
    sale,
    transaction,
    transfer,
    view_of,
)

FARE_MINOR = 200


class Arrivals:
    """A cardholder whose messages arrive one by one."""

    def __init__(self, database: Database, holder: CardholderId) -> None:
        self.database = database
        self.holder = holder
        self.request, self.annulment, self.replacement = (new_transaction_id() for _ in range(3))

    def arrive(self, what: str) -> PostingResult | KnownTransaction:
        """Read, decide, post; or what is known of the id already."""
        own = {"request": self.request, "annulment": self.annulment, "replacement": self.replacement}[what]
        wanted = (own, self.request)
        with self.database.reading() as connection:
            payers = payers_of(connection, self.holder)
            current = payer_at(connection, self.holder, MOMENT)
        assert current is not None
        [result] = read(self.database, [ReadQuery(payers, wanted)])
        if own in result.known:
            return result.known[own]
        first = result.known.get(self.request) if what != "request" else None
        view = result.views[first.payer_id if first else current]
        posting = getattr(self, f"_{what}")(view, first)
        others = tuple(
            (other, seen.version) for other, seen in result.views.items() if other != view.payer_id
        )
        [posted] = post(self.database, [replace(posting, also_under=others)])
        assert posted.outcome is Outcome.POSTED
        return posted

    def _request(self, view: PayerView, _: None) -> Posting:
        return sale(view.payer_id, view.version, FARE_MINOR, id=self.request)

    def _replacement(self, view: PayerView, first: KnownTransaction | None) -> Posting:
        said = {"id": self.replacement, "kind": "advice", "offline": True, "replaces": self.request}
        if first is not None and first.stands:
            duplicate = {"decision": "duplicate", "duplicate_of": first.id}
            return sale(view.payer_id, view.version, 0, **said, **duplicate)
        posting = sale(view.payer_id, view.version, FARE_MINOR, **said)
        return replace(posting, tombstone=self.request if first is None else None)

    def _annulment(self, view: PayerView, first: KnownTransaction | None) -> Posting:
        new = transaction(id=self.annulment, origin="system", kind="annul", annuls=self.request)
        posting = Posting(view.payer_id, view.version, new)
        if first is None:
            return replace(posting, tombstone=self.request)
        if not first.stands or first.kept_by is not None:
            return posting
        lines = tuple(
            transfer(
                line.credit,
                line.debit,
                line.amount_minor,
                reverses_transaction=first.id,
                reverses_line=line.line,
            )
            for line in first.transfers
        )
        return replace(posting, transfers=lines)


@pytest.fixture
def arrivals(database: Database, holder: CardholderId) -> Arrivals:
    """Nothing has arrived yet."""
    return Arrivals(database, holder)


@pytest.mark.parametrize("repeated", [False, True], ids=["once", "each-twice"])
@pytest.mark.parametrize(
    "order",
    [*permutations(("request", "annulment", "replacement")), *permutations(("request", "replacement"))],
)
def test_whoever_comes_first_it_is_paid_once(
    database: Database, arrivals: Arrivals, payer: PayerId, order: tuple[str, ...], repeated: bool
) -> None:
    for what in order:
        arrivals.arrive(what)
        if repeated:
            assert isinstance(arrivals.arrive(what), KnownTransaction)
    assert view_of(database, payer).prepaid.balance == 500 - FARE_MINOR
    assert verify(database).is_clean


@pytest.mark.parametrize("order", list(permutations(("request", "annulment"))))
def test_what_is_annulled_and_not_replaced_costs_nothing(
    database: Database, arrivals: Arrivals, payer: PayerId, order: tuple[str, ...]
) -> None:
    for what in order:
        arrivals.arrive(what)
    assert view_of(database, payer).prepaid.balance == 500
    assert verify(database).is_clean


@pytest.mark.parametrize("changed_after", [0, 1, 2, 3])
@pytest.mark.parametrize("order", list(permutations(("request", "annulment", "replacement"))))
def test_a_change_of_payer_in_between_makes_no_difference(
    database: Database,
    arrivals: Arrivals,
    make_payer: MakePayer,
    payer: PayerId,
    order: tuple[str, ...],
    changed_after: int,
) -> None:
    family = make_payer(500)
    for number, what in enumerate((*order, *order)):
        if number == changed_after:
            with database.begin() as connection:
                later = MOMENT + timedelta(minutes=1)
                assign_payer(connection, arrivals.holder, family, later, later)
        arrivals.arrive(what)
    balances = [view_of(database, each).prepaid.balance for each in (payer, family)]
    assert sum(balances) == 1000 - FARE_MINOR
    assert verify(database).is_clean


def test_a_known_id_is_found_under_every_payer_that_the_card_has_had(
    database: Database, make_payer: MakePayer, payer: PayerId, holder: CardholderId
) -> None:
    sold = sale(payer, 2, FARE_MINOR)
    post(database, [sold])
    payers = [payer]
    for minute in (1, 2):
        payers.append(make_payer(500))
        with database.begin() as connection:
            moment = MOMENT + timedelta(minutes=minute)
            assign_payer(connection, holder, payers[-1], moment, moment)
    with database.reading() as connection:
        assert payers_of(connection, holder) == tuple(payers)
    versions = {each: view_of(database, each).version for each in payers}
    for current in payers:
        others = tuple((each, versions[each]) for each in payers if each != current)
        retry = replace(sold, payer_id=current, expected_version=versions[current], also_under=others)
        [result] = post(database, [retry])
        assert result.outcome is Outcome.KNOWN
        assert result.known is not None
        assert result.known.payer_id == payer


def test_a_tombstone_is_what_a_later_request_finds(database: Database, arrivals: Arrivals) -> None:
    arrivals.arrive("annulment")
    found = arrivals.arrive("request")
    assert isinstance(found, KnownTransaction)
    assert found.is_tombstone
    assert (found.decision, found.body, found.stands, found.transfers) == ("annulled", None, False, ())
    assert found.annulled_by == arrivals.annulment


def test_what_a_duplicate_keeps_is_not_annulled(database: Database, arrivals: Arrivals) -> None:
    for what in ("request", "replacement", "annulment"):
        arrivals.arrive(what)
    found: dict[TransactionId, KnownTransaction] = {
        known.id: known
        for known in (arrivals.arrive(what) for what in ("request", "replacement"))
        if isinstance(known, KnownTransaction)
    }
    first, second = found[arrivals.request], found[arrivals.replacement]
    assert (first.stands, first.kept_by, first.annulled_by) == (True, arrivals.replacement, None)
    assert (second.stands, second.duplicate_of, second.transfers) == (False, arrivals.request, ())
