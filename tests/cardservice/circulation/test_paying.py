"""A fine that is paid with the card: a sale with its proof, never too much, and owed again where annulled."""

from cardservice.circulation.members import join
from cardservice.ledger.resources import settle_reservations
from pki.statements import details_hmac
from tests.cardservice.circulation.conftest import Town
from tests.support.council import SALT, Council, annulment, message, request_for

URL = "/v1/authorisations"


def test_a_fine_is_paid_by_card(council: Council, town: Town) -> None:
    context, service = town.context, "library"
    council.provider("ashcombe-library")
    desk = council.terminal("desk-1", "library-desk", provider="ashcombe-library")
    card = council.card(top_up_minor=1_000)
    with context.database.begin() as connection:
        join(connection, card.holder, "3001", None, by="test", moment=council.clock())

    def owed() -> int:
        found = town.system.patron("3001", None, by="test")
        assert found is not None
        return found.owed_minor

    def pay(amount_minor: int) -> tuple[tuple[int, str], object]:
        details = {"amount_minor": amount_minor}
        wanted = {"service": service, "action": "pay-fine", "details": details, "card": str(card.id)}
        assert desk.post("/v1/quotes", wanted).json["amount_minor"] == amount_minor
        sold = request_for(
            *(desk, card),
            service=service,
            action="pay-fine",
            amount_minor=amount_minor,
            details_hmac=details_hmac(SALT, details),
        )
        return desk.post(URL, message(sold, card, details=details)).outcome, sold.id

    assert pay(1)[0] == (200, "resource_taken")
    town.system.check_out("3001", "F1", by="test", place="central")
    council.clock.advance(days=9)
    town.system.check_in("F1", by="test", place="central")
    assert owed() == 200
    assert pay(201)[0] == (200, "resource_taken")
    paid, paid_id = pay(150)
    assert (paid, owed(), council.view(card.payer).prepaid.balance) == ((200, "approved"), 50, 850)
    assert town.system.pay("3001", 51, method="cash", by="test").reason == "more_than_owed"
    assert pay(51)[0] == (200, "resource_taken")
    undo = annulment(desk, card, paid_id)  # type: ignore[arg-type]  # the id of the statement
    assert desk.post(URL, undo).status == 200
    settle_reservations(context.database, council.clock())
    assert (owed(), council.view(card.payer).prepaid.balance) == (200, 1_000)
    assert pay(200)[0] == (200, "approved")
    assert owed() == 0
    # The terms' minutes a day, counted for the holder.
    details = {"minutes": 120}
    seat = request_for(
        *(desk, card),
        service=service,
        action="pc-session",
        amount_minor=0,
        details_hmac=details_hmac(SALT, details),
    )
    assert desk.post(URL, message(seat, card, details=details)).outcome == (200, "approved")
    details = {"minutes": 1}
    more = request_for(
        *(desk, card),
        service=service,
        action="pc-session",
        amount_minor=0,
        details_hmac=details_hmac(SALT, details),
    )
    assert desk.post(URL, message(more, card, details=details)).outcome == (200, "pc_minutes_used")
