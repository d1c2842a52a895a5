"""What lies in quarantine is the person's whose card it names: sealed under their key, told and erased."""

from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from sqlalchemy import insert, select

from cardservice.audit.service import security_events
from cardservice.cardholders.accesses import accesses
from cardservice.cardholders.erasure import erase_cardholder
from cardservice.cardholders.export import export_person
from cardservice.cardholders.retention import QUARANTINE, RECORD_DAYS, erase_records, survey_records
from cardservice.ids import CardholderId, CardId
from cardservice.keys import load_service_keys, make_kek_version
from cardservice.ledger.privacy import find_key
from cardservice.quarantine import sealing, service
from cardservice.quarantine.looking import look
from cardservice.quarantine.models import quarantine
from tests.cardservice.advices.chunk import advice, answers, outcomes
from tests.cardservice.advices.test_staff import forger_of
from tests.cardservice.conftest import PASSPHRASE
from tests.support.council import ACTOR, TRIP, Card, Council, Terminal, advice_of


@pytest.fixture
def bus(council: Council) -> Terminal:
    """A validator."""
    return council.terminal("bus-12")


def refused(bus: Terminal, card: Card) -> bytes:
    """An advice that names a card and that its key has not signed: it is told, and kept in quarantine."""
    entry = advice(advice_of(bus, card), forger_of(card))
    assert outcomes(answers(bus, [entry])) == ["proof_invalid"]
    return entry


def kept(council: Council) -> dict[int, Any]:
    """All that lies there."""
    with council.context.database.reading() as connection:
        return {row.id: row for row in connection.execute(select(quarantine).order_by(quarantine.c.id))}


def keep_as_before(council: Council, entry: bytes, version: int = 1) -> int:
    """A message as it was kept before it was sealed under a person's key."""
    body, nonce, key = uuid4().bytes * 2, bytes(12), council.kek.key(version)
    raw = nonce + AESGCMSIV(key).encrypt(nonce, entry, b"citizen-card quarantine\x00" + body)
    row = {"terminal_id": "bus-12", "transaction_id": uuid4(), "body": body, "at": council.clock()}
    said = {"code": "proof_invalid", "detail": "it does not verify", "state": "held"}
    with council.context.database.begin() as connection:
        values = row | said | {"sealed": version.to_bytes(4, "big") + raw}
        made = insert(quarantine).values(**values).returning(quarantine.c.id)
        return int(connection.execute(made).scalar_one())


def told(council: Council, holder: CardholderId) -> list[dict[str, Any]]:
    """What a person is told of it."""
    with council.context.database.begin() as connection:
        found: list[dict[str, Any]] = export_person(council.context, connection, holder, actor=ACTOR)[
            "held_back"
        ]
    return found


def test_it_is_sealed_under_the_persons_key_and_told_to_them(council: Council, bus: Terminal) -> None:
    card, other = council.card(), council.card()
    entry = refused(bus, card)
    [row] = kept(council).values()
    with council.context.database.reading() as connection:
        key = find_key(connection, card.holder)
    assert key is not None
    assert row.key_id == key.id
    _, raw = look(council.context, row.id, actor="cli:ben")
    assert raw == entry
    [one] = told(council, card.holder)
    assert (one["terminal"], one["refused_as"], one["state"]) == ("bus-12", "proof_invalid", "held")
    assert one["says"]["details"] == TRIP
    assert told(council, other.holder) == []
    # Who has looked at it is told, too, and that it was looked at is on the trail without a person.
    with council.context.database.reading() as connection:
        seen = [each for each in accesses(connection, card.holder) if each.action == "quarantine.read"]
    assert [(each.actor, each.is_read) for each in seen] == [("cli:ben", True)]


def test_it_is_erased_with_the_person_and_does_not_come_back(council: Council, bus: Terminal) -> None:
    """Also what was kept before it was sealed under the person's key; what is of others stays."""
    card, other = council.card(), council.card()
    entry, others = refused(bus, card), refused(bus, other)
    keep_as_before(council, entry)
    stays = keep_as_before(council, others)
    erase_cardholder(council.context, card.holder, actor=ACTOR)
    left = kept(council)
    assert len(left) == 2
    assert stays in left
    for number in left:
        assert look(council.context, number, actor=ACTOR)[1] == others
    # It is told again: noted, and not kept.
    assert outcomes(answers(bus, [entry])) == ["erased"]
    assert kept(council).keys() == left.keys()
    with council.context.database.reading() as connection:
        newest = next(security_events(connection))
    assert (newest.code, newest.quarantined) == ("erased", False)


def test_a_new_version_of_the_key_leaves_nothing_under_the_old(
    council: Council, bus: Terminal, scheme_directory: Path
) -> None:
    """What is of no known card is sealed anew; what is of a known one by now, under its holder's key."""
    card = council.card()
    entry = refused(bus, card)
    stranger = advice(advice_of(bus, Card(CardId(uuid4()), *_rest_of(card))), card)
    assert outcomes(answers(bus, [stranger])) == ["card_unknown"]
    before = keep_as_before(council, entry)
    torn = keep_as_before(council, entry)
    with council.context.database.begin() as connection:
        broken = kept(council)[torn].sealed[:-1] + b"\x00"
        connection.execute(quarantine.update().where(quarantine.c.id == torn).values(sealed=broken))
        assert sealing.sealed_under(connection) == {1: 3}
    keys = load_service_keys(scheme_directory, PASSPHRASE)
    both = make_kek_version(keys)
    with council.context.database.begin() as connection:
        assert sealing.seal_anew(connection, both, 0) == (2, None)
        # Again there is nothing to do; what cannot be read stays as it is, and is counted.
        assert sealing.seal_anew(connection, both, 0) == (0, None)
        assert sealing.sealed_under(connection) == {1: 1, 2: 1}
    assert kept(council)[before].key_id is not None
    context = replace(council.context, keys=load_service_keys(scheme_directory, PASSPHRASE))
    read = {number: look(context, number, actor=ACTOR)[1] for number in kept(council) if number != torn}
    assert sorted(read.values()) == sorted([entry, stranger, entry])
    with pytest.raises(sealing.QuarantineUnreadable):
        look(context, torn, actor=ACTOR)


def test_what_was_dismissed_is_erased_when_its_time_is_over(council: Council, bus: Terminal) -> None:
    """What nobody has looked at stays, however old it is."""
    card = council.card()
    refused(bus, card)
    stays = next(iter(kept(council)))
    refused(bus, card)
    closed = max(kept(council))
    with council.context.database.begin() as connection:
        service.dismiss(connection, closed, "a forgery", actor=ACTOR, moment=council.clock())
    for days, due in ((395, 0), (2, 1)):
        council.clock.advance(days=days)
        moment = council.clock()
        with council.context.database.reading() as connection:
            over = survey_records(council.context, connection, RECORD_DAYS, moment)
        [one] = [each for each in over if each.record_class == QUARANTINE]
        assert one.due == due
    assert erase_records(council.context, one, moment, actor=ACTOR) == 1
    assert list(kept(council)) == [stays]


def _rest_of(card: Card) -> tuple[Any, ...]:
    return card.holder, card.payer, card.key, card.certificate
