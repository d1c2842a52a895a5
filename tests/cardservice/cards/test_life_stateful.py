"""Whatever is done to a person's cards in whatever order, they are where the documented transitions lead."""

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from cardservice.cards import life, personalisation
from cardservice.cards import service as cards
from cardservice.cards.activation import activate, dispatch
from cardservice.cards.ending_lendings import end_lendings
from cardservice.cards.errors import ActivationRefused, CardInUse, LendingRefused
from cardservice.cards.losses import tell_lost
from cardservice.cards.personalisation import Delivery, Order
from cardservice.cards.slots import SLOTS_OF_KIND
from cardservice.cards.states import CRL_REASONS, IN_USE, LEADS_TO, REPORTS, CardState
from cardservice.cards.temporary import take_back
from cardservice.errors import CardServiceError, OrderClosed, StateChangeRefused
from cardservice.ids import CardholderId, CardId
from cardservice.pki_store.store import DatabaseCertificateStore
from tests.support.council import ACTOR, Council, csr

HOLDERS, LENT_HOURS = 2, 8


def machine(council: Council) -> type[RuleBasedStateMachine]:  # noqa: C901 - one small rule after another
    """Over one service; each run has persons of its own."""

    class Life(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.holders = [council.card().holder for _ in range(HOLDERS)]
            self.orders: dict[CardId, Order] = {}
            self.holder_of: dict[CardId, CardholderId] = {}
            self.replaces: dict[CardId, CardId] = {}
            self.codes: dict[CardId, str] = {}
            self.model: dict[CardId, CardState] = {}
            # What is lent, for which card; and for which of them a card rests
            self.acts_for: dict[CardId, CardId] = {}
            self.rests_for: dict[CardId, CardId] = {}

        @rule(holder=st.integers(0, HOLDERS - 1), delivery=st.sampled_from(Delivery))
        def ordered(self, holder: int, delivery: Delivery) -> None:
            whose = self.holders[holder]
            self._order(
                whose,
                self._in_use(whose) is None,
                lambda connection: personalisation.order_card(
                    connection, whose, "citizen", delivery=delivery, actor=ACTOR, moment=council.clock()
                ),
            )

        @precondition(lambda self: self.model)
        @rule(data=st.data(), delivery=st.sampled_from(Delivery))
        def replaced(self, data: st.DataObject, delivery: Delivery) -> None:
            old = self._some(data)
            made = self._order(
                self.holder_of[old],
                self._in_use(self.holder_of[old]) in {None, old},
                lambda connection: personalisation.order_replacement(
                    connection, old, delivery=delivery, actor=ACTOR, moment=council.clock()
                ),
            )
            if made is not None:
                self.replaces[made] = old

        @precondition(lambda self: self.model)
        @rule(data=st.data(), done=st.sampled_from([True, True, True, False]))
        def made(self, data: st.DataObject, done: bool) -> None:
            card = self._some(data)
            order = self.orders[card]
            goal = CardState.PERSONALISED if order.delivery is Delivery.POST else CardState.ACTIVE
            expected: type[CardServiceError] | None = None
            if self.model[card] is not CardState.ORDERED:
                expected = OrderClosed
            elif done and goal is CardState.ACTIVE and not self._free_for(card):
                expected = CardInUse
            if self._tried(lambda: self._make(order, done=done), expected):
                if done and goal is CardState.ACTIVE:
                    self._takes_the_place(card)
                self.model[card] = goal if done else CardState.REVOKED

        @precondition(lambda self: self.model)
        @rule(data=st.data())
        def sent(self, data: st.DataObject) -> None:
            card = self._some(data)
            may = self.model[card] in {CardState.PERSONALISED, CardState.DISPATCHED}
            code: list[str] = []
            if self._tried(
                lambda: code.append(dispatch(council.context, card, actor=ACTOR)),
                None if may else StateChangeRefused,
            ):
                self.model[card], self.codes[card] = CardState.DISPATCHED, code[0]

        @precondition(lambda self: self.model)
        @rule(data=st.data(), right=st.booleans())
        def activated(self, data: st.DataObject, right: bool) -> None:
            card = self._some(data)
            expected: type[CardServiceError] | None = None
            if self.model[card] is not CardState.DISPATCHED:
                expected = StateChangeRefused
            elif not right:
                expected = ActivationRefused
            elif not self._free_for(card):
                expected = CardInUse
            code = self.codes.get(card, "") if right else "wrong"
            if self._tried(lambda: activate(council.context, card, code, actor=ACTOR), expected):
                self._takes_the_place(card)
                self.model[card] = CardState.ACTIVE
            elif expected is ActivationRefused:
                # Wrong codes are counted; how that ends is tried elsewhere.
                self.codes[card] = dispatch(council.context, card, actor=ACTOR)

        @precondition(lambda self: self.model)
        @rule(data=st.data())
        def suspended(self, data: st.DataObject) -> None:
            self._step(self._some(data), CardState.SUSPENDED, life.suspend)

        @precondition(lambda self: self.model)
        @rule(data=st.data())
        def released(self, data: st.DataObject) -> None:
            card = self._some(data)
            may = self.model[card] is CardState.SUSPENDED
            if self._tried(lambda: self._change(life.release, card), None if may else StateChangeRefused):
                self.model[card] = CardState.ACTIVE
                self.rests_for.pop(card, None)

        @precondition(lambda self: self.model)
        @rule(data=st.data(), what=st.sampled_from(REPORTS))
        def reported(self, data: st.DataObject, what: CardState) -> None:
            card = self._some(data)
            may = what in LEADS_TO[self.model[card]]
            if self._tried(
                lambda: self._change(life.report, card, what), None if may else StateChangeRefused
            ):
                self.model[card] = CardState.REVOKED

        @precondition(lambda self: self.model)
        @rule(data=st.data())
        def lent(self, data: st.DataObject) -> None:
            """Another one for a day, made at once."""
            home = self._some(data)
            holder = self.holder_of[home]
            expected: type[CardServiceError] | None = None
            if any(self.holder_of[each] == holder for each in self.acts_for):
                # One at a time, whatever has become of the card at home.
                expected = CardInUse
            elif self.model[home] is not CardState.ACTIVE:
                expected = LendingRefused
            made: list[Order] = []
            if self._tried(lambda: made.append(self._lend(home)), expected):
                self._make(made[0], done=True)
                self.acts_for[made[0].card_id] = home
                self.holder_of[made[0].card_id] = holder
                self.model[home] = CardState.SUSPENDED
                self.rests_for[home] = made[0].card_id

        @precondition(lambda self: self.acts_for)
        @rule(data=st.data(), by_itself=st.booleans())
        def taken_back(self, data: st.DataObject, by_itself: bool) -> None:
            """At a desk, or since its time is over; then all that are lent."""
            card = data.draw(st.sampled_from(list(self.acts_for)))
            if by_itself:
                council.clock.advance(hours=LENT_HOURS)
                # Those that an earlier run has left, too.
                assert end_lendings(council.context) >= len(self.acts_for)
                ended = list(self.acts_for)
            else:
                with council.context.database.begin() as connection:
                    authority = council.context.authority(cards.AUTHORITY, connection)
                    take_back(connection, authority, card, actor=ACTOR, moment=council.clock())
                ended = [card]
            for each in ended:
                home = self.acts_for.pop(each)
                if self.model[home] is CardState.SUSPENDED and self.rests_for.get(home) == each:
                    self.model[home] = CardState.ACTIVE

        @precondition(lambda self: self.model)
        @rule(data=st.data())
        def told_lost_by_a_stranger(self, data: st.DataObject) -> None:
            """Nobody ends a card for good by ringing up."""
            card = self._some(data)
            # Five a day are taken.
            council.clock.advance(hours=5)
            assert not tell_lost(council.context, card, "phone", {}, actor=ACTOR).verified
            if self.model[card] is CardState.ACTIVE:
                self.model[card] = CardState.SUSPENDED
                self.rests_for.pop(card, None)

        @precondition(lambda self: self.model)
        @rule(data=st.data(), reason=st.sampled_from(sorted(CRL_REASONS)))
        def revoked(self, data: st.DataObject, reason: str) -> None:
            self._step(self._some(data), CardState.REVOKED, cards.revoke_card, reason=reason)

        @rule(hours=st.sampled_from([0, 1, 10]))
        def time_passes(self, hours: int) -> None:
            council.clock.advance(hours=hours)

        @invariant()
        def the_records_say_so(self) -> None:
            with council.context.database.reading() as connection:
                store = DatabaseCertificateStore(connection)
                for card, state in self.model.items():
                    history = [each.state for each in cards.require_card(connection, card).states]
                    assert history[-1] is state
                    assert all(after in LEADS_TO[before] for before, after in pairwise(history))
                    for issued in store.find_by_identity(cards.AUTHORITY, str(card)):
                        assert issued.is_held == (state is CardState.SUSPENDED)
                        gone = issued.revoked_at is not None and not issued.is_held
                        assert gone == (state is CardState.REVOKED)

        def _order(self, holder: CardholderId, may: bool, order: Callable[[Any], Order]) -> CardId | None:
            made: list[Order] = []

            def do() -> None:
                with council.context.database.begin() as connection:
                    made.append(order(connection))

            if not self._tried(do, None if may else CardInUse):
                return None
            self.model[made[0].card_id] = CardState.ORDERED
            self.orders[made[0].card_id] = made[0]
            self.holder_of[made[0].card_id] = holder
            return made[0].card_id

        def _lend(self, home: CardId) -> Order:
            due = council.clock() + timedelta(hours=LENT_HOURS)
            with council.context.database.begin() as connection:
                return personalisation.lend_card(connection, home, due, actor=ACTOR, moment=council.clock())

        def _make(self, order: Order, *, done: bool) -> None:
            now = council.clock()
            with council.context.database.begin() as connection:
                authority = council.context.authority(cards.AUTHORITY, connection)
                for slot in SLOTS_OF_KIND[order.kind]:
                    key = ec.generate_private_key(ec.SECP256R1())
                    der = csr(key, "card").public_bytes(Encoding.DER)
                    personalisation.certify(
                        connection, authority, order.id, der, slot, actor=ACTOR, moment=now
                    )
                personalisation.report(connection, authority, order.id, done=done, actor=ACTOR, moment=now)

        def _step(
            self, card: CardId, wanted: CardState, change: Callable[..., None], reason: str = "why"
        ) -> None:
            may = wanted in LEADS_TO[self.model[card]]
            if self._tried(
                lambda: self._change(change, card, reason=reason), None if may else StateChangeRefused
            ):
                self.model[card] = wanted

        def _change(self, change: Callable[..., None], card: CardId, *more: Any, reason: str = "why") -> None:
            with council.context.database.begin() as connection:
                authority = council.context.authority(cards.AUTHORITY, connection)
                change(connection, authority, card, *more, reason=reason, actor=ACTOR, moment=council.clock())

        def _tried(self, do: Callable[[], Any], expected: type[CardServiceError] | None) -> bool:
            """Whether it was done, which is as expected."""
            if expected is None:
                do()
                return True
            with pytest.raises(expected):
                do()
            return False

        def _takes_the_place(self, card: CardId) -> None:
            if (old := self.replaces.get(card)) is not None:
                self.model[old] = CardState.REVOKED

        def _free_for(self, card: CardId) -> bool:
            return self._in_use(self.holder_of[card]) in {None, self.replaces.get(card)}

        def _in_use(self, holder: CardholderId) -> CardId | None:
            found = [
                card
                for card, state in self.model.items()
                if state in IN_USE and self.holder_of[card] == holder
            ]
            assert len(found) < 2
            return found[0] if found else None

        def _some(self, data: st.DataObject) -> CardId:
            return data.draw(st.sampled_from(list(self.model)))

    return Life


def _run(council: Council, examples: int, steps: int, *, always: bool = False) -> None:
    run_state_machine_as_test(
        machine(council),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=always,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_any_order(council: Council) -> None:
    """A few lives, each of two persons' cards."""
    _run(council, 5, 20, always=True)


@pytest.mark.long
def test_any_order_at_length(council: Council) -> None:
    """The same, exhaustively."""
    _run(council, 60, 40)
