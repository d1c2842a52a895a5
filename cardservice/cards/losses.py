"""Losses told by telephone, on the web or at a kiosk, where nobody sees who tells them.

Whoever tells one is asked what the record says. Who answers has the card revoked; who does not has it
suspended, which its holder can end at a desk: a card that is lost is stopped in either case, and nobody can
end somebody else's for good by ringing up. The answers are compared in constant time, all of them whatever
the first says, and neither they nor which was wrong is told or kept. How often somebody may try is limited
for each card.
"""

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from uuid import UUID

from sqlalchemy import Connection, func, insert, select

from cardservice.audit.service import record
from cardservice.cardholders.records import read_fields
from cardservice.cardholders.sealing import Field
from cardservice.cardholders.service import lock_cardholder
from cardservice.cards.errors import LossRefused
from cardservice.cards.life import report, suspend
from cardservice.cards.models import loss_report
from cardservice.cards.service import AUTHORITY, Card, require_card
from cardservice.cards.states import LEADS_TO, CardState
from cardservice.context import Context
from cardservice.errors import OrderInvalid
from cardservice.ids import CardholderId

# All ours.
CHANNELS = ("phone", "web", "kiosk")
ATTEMPTS, WITHIN = 5, timedelta(hours=24)
# So many answers verify who tells it, if all that were given are right.
NEEDED = 2
# Printed are the first 20 characters of the card's identifier (SP 800-73-5 part 1, printed information).
_PRINTED, NUMBER_CHARACTERS = 20, 4


class Question(StrEnum):
    """What somebody may be asked; a card's holder knows two of them without the card."""

    BORN_ON = "born_on"
    POSTCODE = "postcode"
    # The last four characters of the number printed on the card
    NUMBER = "number"


@dataclass(frozen=True, slots=True)
class Told:
    """What came of a report."""

    # For whoever takes it, never for who tells it: it would say whether the answers are right.
    verified: bool
    state: CardState
    attempts_left: int


def tell_lost(
    context: Context, card_id: UUID, channel: str, answers: Mapping[Question, str], *, actor: str
) -> Told:
    """Take a report that a card is lost, and stop the card. To who tells it, it is stopped: nothing else.

    Raises CardUnknown, OrderInvalid, and LossRefused where too much was tried with this card since yesterday.
    """
    if channel not in CHANNELS:
        raise OrderInvalid(f"{channel[:20]!r} is no way to tell a loss; there are {', '.join(CHANNELS)}")
    moment = context.now()
    with context.database.begin() as connection:
        # Two who try at once use up two attempts, and the second sees what the first has made of the card.
        lock_cardholder(connection, require_card(connection, card_id).cardholder_id)
        known = require_card(connection, card_id)
        left = ATTEMPTS - _failed_since(connection, known, moment - WITHIN)
        if left > 0:
            record(connection, actor, "cardholder.verify", known.cardholder_id, moment, channel=channel)
            number = known.id.hex[:_PRINTED][-NUMBER_CHARACTERS:]
            verified = answers_fit(context, connection, known.cardholder_id, answers, number)
            connection.execute(
                insert(loss_report).values(
                    card_id=known.id, told_at=moment, channel=channel, verified=verified, told_to=actor
                )
            )
            state = _stop(context, connection, known, channel, moment, actor, verified=verified)
            return Told(verified, state, left if verified else left - 1)
        record(connection, actor, "card.loss_refused", known.id, moment, channel=channel)
    # Only now, so that it stays noted. The card is at rest since the first of them.
    raise LossRefused(f"too many have tried to tell that card {card_id} is lost; a desk takes it")


def _failed_since(connection: Connection, known: Card, since: datetime) -> int:
    own = loss_report.c
    tried = select(func.count()).where(own.card_id == known.id, own.told_at > since, own.verified.is_(False))
    return connection.execute(tried).scalar_one()


def answers_fit(
    context: Context,
    connection: Connection,
    holder: CardholderId,
    answers: Mapping[Question, str],
    number: str | None = None,
) -> bool:
    """Whether enough was answered, and nothing wrong, by the record; `number` is that of the card meant."""
    fields = read_fields(connection, context.keys.cardholder_kek, holder, [Field.BORN_ON, Field.ADDRESS])
    right = {
        Question.BORN_ON: fields.get(Field.BORN_ON),
        Question.POSTCODE: fields.get(Field.ADDRESS, {}).get("postcode"),
        Question.NUMBER: number,
    }
    # Under a key of this moment, so that how long it takes says nothing of what is compared.
    key = secrets.token_bytes(32)
    same = [
        hmac.compare_digest(_mac(key, answers.get(each)), _mac(key, value)) & (value is not None)
        for each, value in right.items()
    ]
    given = [each in answers for each in right]
    wrong = sum(is_given and not is_right for is_given, is_right in zip(given, same, strict=True))
    answered = sum(is_given and is_right for is_given, is_right in zip(given, same, strict=True))
    return wrong == 0 and answered >= NEEDED


def _stop(
    context: Context,
    connection: Connection,
    known: Card,
    channel: str,
    moment: datetime,
    actor: str,
    *,
    verified: bool,
) -> CardState:
    authority = context.authority(AUTHORITY, connection)
    if verified and CardState.LOST in LEADS_TO[known.state]:
        reason = f"told by {channel}, verified"
        lost = CardState.LOST
        report(connection, authority, known.id, lost, reason=reason, actor=actor, moment=moment)
    elif CardState.SUSPENDED in LEADS_TO[known.state]:
        reason = f"told lost by {channel}, not verified"
        suspend(connection, authority, known.id, reason=reason, actor=actor, moment=moment)
    return require_card(connection, known.id).state


def _mac(key: bytes, value: str | None) -> bytes:
    """However somebody has written it: capitals, and letters and digits alone."""
    plain = "".join(char for char in (value or "").upper() if char.isalnum())
    return hmac.digest(key, plain.encode("utf-8", "replace"), sha256)
