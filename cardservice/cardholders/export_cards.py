"""What is kept of a person's cards, for that person: how each was made, lent, told as lost, and certified."""

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from cardservice.bureau.models import bureau, bureau_batch, bureau_item
from cardservice.cards.models import (
    card,
    card_activation,
    card_uid,
    loss_report,
    personalisation_order,
    temporary_card,
)
from cardservice.cards.service import AUTHORITY, find_cards
from cardservice.ids import CardholderId, CardId
from cardservice.pki_store.models import certificate

_MADE = {
    "open": "ordered, and not made yet",
    "certified": "certified, and not finished",
    "done": "made",
    "failed": "it could not be made",
}
_DELIVERED = {"desk": "handed over at a desk", "post": "sent by post"}
_SENT_TO = {"holder": "to the holder", "school": "to the school", "desk": "to a desk"}
_Told = Callable[[Row[Any]], dict[str, Any]]


def cards_of(connection: Connection, holder: CardholderId) -> list[dict[str, Any]]:
    """Each card that the person has or had, with its states and all that is kept of it."""
    own = connection.scalars(
        select(card.c.id).where(card.c.cardholder_id == holder).order_by(card.c.created_at, card.c.id)
    ).all()
    by_id = {each.id: each for each in find_cards(connection, own)}
    made, lent, losses, chips, codes = (
        _told(connection, query.where(column.in_(own)), told) for query, column, told in _KEPT
    )
    certified = _told(connection, _CERTIFICATES.where(certificate.c.identity.in_(map(str, own))), _certified)
    return [
        {
            "card": str(each.id),
            "kind": each.kind,
            "expires_on": each.expires_on.isoformat(),
            "states": [
                {"state": change.state.value, "since": said(change.valid_from), "reason": change.reason}
                for change in each.states
            ],
            "made": made[str(each.id)],
            "stands_in_for": lent[str(each.id)],
            "told_as_lost": losses[str(each.id)],
            "chip": chips[str(each.id)],
            "activation_code": codes[str(each.id)],
            "certificates": certified[str(each.id)],
        }
        for each in (by_id[CardId(one)] for one in own)
    ]


def said(moment: datetime | None) -> str | None:
    """A moment as it is told."""
    return None if moment is None else moment.isoformat()


def _told(connection: Connection, query: Select[Any], told: _Told) -> dict[str, list[dict[str, Any]]]:
    """What is told of each row, by the card, which comes first."""
    found = defaultdict[str, list[dict[str, Any]]](list)
    for row in connection.execute(query):
        found[str(row[0])].append(told(row))
    return found


def _made(row: Row[Any]) -> dict[str, Any]:
    by = "at a desk" if row.bureau is None else f"by {row.bureau}, sent {_SENT_TO[row.send_to]}"
    return {
        "what": _MADE[row.state],
        "ordered_at": said(row.created_at),
        "changed_at": said(row.changed_at),
        "where": by,
        "delivery": _DELIVERED[row.delivery],
    }


def _lent(row: Row[Any]) -> dict[str, Any]:
    return {"card": str(row.acts_for), "due_at": said(row.due_at), "ended_at": said(row.ended_at)}


def _lost(row: Row[Any]) -> dict[str, Any]:
    verified = "who told it had answered what the record says" if row.verified else "nobody's answers fitted"
    return {"told_at": said(row.told_at), "by": row.channel, "caller": verified}


def _chip(row: Row[Any]) -> dict[str, Any]:
    return {
        "number": row.uid.hex(),
        "place_in_status_list": row.status_index,
        "since": said(row.recorded_at),
    }


def _code(row: Row[Any]) -> dict[str, Any]:
    return {"expires_at": said(row.expires_at), "attempts_left": row.attempts_left}


def _certified(row: Row[Any]) -> dict[str, Any]:
    return {
        "for": row.profile,
        "serial": row.serial,
        "from": said(row.not_before),
        "until": said(row.not_after),
        "revoked_at": said(row.revoked_at),
    }


_ORDER = personalisation_order.c
_KEPT: tuple[tuple[Select[Any], Any, _Told], ...] = (
    (
        select(
            *(_ORDER.card_id, _ORDER.state, _ORDER.created_at, _ORDER.changed_at, _ORDER.delivery),
            *(bureau.c.name.label("bureau"), bureau_batch.c.send_to),
        ).select_from(
            personalisation_order.outerjoin(bureau_item, bureau_item.c.order_id == _ORDER.id)
            .outerjoin(bureau_batch, bureau_batch.c.id == bureau_item.c.batch_id)
            .outerjoin(bureau, bureau.c.id == bureau_batch.c.bureau_id)
        ),
        _ORDER.card_id,
        _made,
    ),
    (select(temporary_card), temporary_card.c.card_id, _lent),
    (
        select(
            *(loss_report.c.card_id, loss_report.c.told_at, loss_report.c.channel, loss_report.c.verified)
        ).order_by(loss_report.c.id),
        loss_report.c.card_id,
        _lost,
    ),
    (select(card_uid), card_uid.c.card_id, _chip),
    # The code itself is kept nowhere.
    (
        select(card_activation.c.card_id, card_activation.c.expires_at, card_activation.c.attempts_left),
        card_activation.c.card_id,
        _code,
    ),
)
_CERTIFICATES = (
    select(
        certificate.c.identity,
        certificate.c.profile,
        certificate.c.serial,
        certificate.c.not_before,
        certificate.c.not_after,
        certificate.c.revoked_at,
    )
    .where(certificate.c.authority == AUTHORITY)
    .order_by(certificate.c.issued_at, certificate.c.serial)
)
