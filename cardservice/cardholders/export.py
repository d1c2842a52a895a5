"""All that is kept of a person, for that person (GDPR, article 15): complete, readable, and of nobody else.

Of a payer that is shared with others there is what the person's own cards did, and neither the balance nor
what others did. Who of the staff looked is told as staff, not by name.
"""

import base64
from collections.abc import Collection, Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select

from cardservice.accounts.models import account_closing
from cardservice.applications.proofs import proofs_of
from cardservice.applications.service import applications_of, reason_of
from cardservice.audit.service import record
from cardservice.cardholders.accesses import accesses
from cardservice.cardholders.asking import require_asker_named
from cardservice.cardholders.details import PROTECTED
from cardservice.cardholders.export_cards import cards_of, said
from cardservice.cardholders.guardians import Guardianship, children_of, guardians_of
from cardservice.cardholders.models import cardholder
from cardservice.cardholders.records import read_fields, record_key
from cardservice.cardholders.sealing import Field
from cardservice.cardholders.service import require_cardholder
from cardservice.circulation.models import fine, history, hold, loan, member, payment
from cardservice.context import Context
from cardservice.funding.models import entitlement
from cardservice.ids import CardholderId, PayerId, TransactionId
from cardservice.ledger.erasing import OwnPayer, payers_for_erasure, transactions_for_erasure
from cardservice.ledger.models import account, counter, ledger_transaction, payer_limit, transaction_details
from cardservice.ledger.payers import history_of
from cardservice.pupils.models import import_change, import_run
from cardservice.quarantine.looking import told_to

FORMAT = "citizen-card subject access 1"
_IDS_AT_ONCE = 500
_IMPORTED = {"joined": "came to the school", "changed": "was changed", "left": "left the school"}
_CLOSED = {
    "asked": "it was asked for",
    "deceased": "it was told that the holder has died",
    "dormant": "no card of the holder was seen for long",
}


def export_person(
    context: Context,
    connection: Connection,
    holder: UUID,
    *,
    actor: str,
    asker: CardholderId | None = None,
) -> dict[str, Any]:
    """What is kept of a person, as JSON can say it; that it was read is noted.

    `asker` may be a guardian (`asking.require_asker`), who is told no protected address, nor of others.
    Raises CardholderUnknown, and AskerRefused where a court has ordered something of this person and it is
    not said who asks.
    """
    person, moment = require_cardholder(connection, holder), context.now()
    if asker is None:
        require_asker_named(connection, context.keys.cardholder_kek, person, context.today())
    payers = payers_for_erasure(connection, person, moment)
    record(connection, actor, "cardholder.export", person, moment)
    return {
        "format": FORMAT,
        "scheme": context.scheme.name,
        "made_at": _said(moment),
        "cardholder": str(person),
        "record": _record(context, connection, person, for_guardian=asker not in {None, person}),
        "guardians": _guardians(guardians_of(connection, context.keys.cardholder_kek, person), asker, person),
        "guardian_of": []
        if asker not in {None, person}
        else _guardians(children_of(connection, context.keys.cardholder_kek, person)),
        "applications": _applications(context, connection, person),
        "proofs": _proofs(context, connection, person),
        "programmes": _programmes(connection, person),
        "imports": _imports(context, connection, person),
        "cards": cards_of(connection, person),
        "account_closing": _closing(connection, person),
        "payers": _payers(connection, person, payers),
        "limits": _limits(connection, person),
        "counters": _counters(connection, person),
        "lending": _lending(connection, person),
        "transactions": _transactions(connection, transactions_for_erasure(connection, person, payers)),
        "held_back": told_to(context, connection, person),
        "accesses": [
            {
                "at": _said(each.at),
                "by": _who(each.actor),
                "what": each.action,
                "changed": each.changed,
                "read": each.is_read,
            }
            for each in accesses(connection, person)
        ],
    }


def _guardians(
    found: Collection[Guardianship], asker: CardholderId | None = None, own: CardholderId | None = None
) -> list[dict[str, Any]]:
    """What binds the person to others, who are left out; a guardian is told what concerns them alone."""
    return [
        {
            "other_person": "left out",
            "relation": each.relation,
            "may": sorted(each.may),
            "barred_by": each.order,
            "from": each.first_day.isoformat(),
            "until": None if each.last_day is None else each.last_day.isoformat(),
            "ended": each.is_ended,
        }
        for each in found
        if asker in {None, own, each.person_id}
    ]


def _record(
    context: Context, connection: Connection, holder: CardholderId, *, for_guardian: bool
) -> dict[str, Any]:
    row = connection.execute(select(cardholder).where(cardholder.c.id == holder)).one()
    known = {
        field.value: value
        for field, value in read_fields(connection, context.keys.cardholder_kek, holder).items()
        if field is not Field.PHOTO
    }
    if for_guardian and PROTECTED in known.get(Field.FLAGS.value, {}):
        known |= {
            field.value: "protected" for field in (Field.ADDRESS, Field.CONTACT) if field.value in known
        }
    photo = read_fields(connection, context.keys.cardholder_kek, holder, [Field.PHOTO]).get(Field.PHOTO)
    return {
        "category": row.category,
        "registered_at": _said(row.created_at),
        **known,
        "photo_jpeg_base64": None if photo is None else base64.b64encode(photo).decode(),
    }


def _applications(context: Context, connection: Connection, holder: CardholderId) -> list[dict[str, Any]]:
    return [
        {
            "kind": each.kind,
            "applied_at": _said(each.applied_at),
            "first_day": None if each.visit is None else each.visit.first_day.isoformat(),
            "last_day": None if each.visit is None else each.visit.last_day.isoformat(),
            "state": each.state,
            "decided_at": None if each.decided_at is None else _said(each.decided_at),
            "reason": reason_of(connection, context.keys.cardholder_kek, each),
        }
        for each in applications_of(connection, holder)
    ]


def _proofs(context: Context, connection: Connection, holder: CardholderId) -> list[dict[str, Any]]:
    return [
        {
            "of": each.kind,
            "reference": each.reference,
            "seen_at": _said(each.seen_at),
            "review_on": None if each.review_on is None else each.review_on.isoformat(),
            "ended_at": None if each.ended_at is None else _said(each.ended_at),
        }
        for each in proofs_of(connection, context.keys.cardholder_kek, holder)
    ]


def _programmes(connection: Connection, holder: CardholderId) -> list[dict[str, Any]]:
    """What others fund for the person, and has been noted as checked."""
    own = entitlement.c
    rows = connection.execute(
        select(own.service, own.programme, own.year, own.first_day, own.review_on, own.reference)
        .where(own.cardholder_id == holder)
        .order_by(own.id)
    )
    return [
        {
            "service": row.service,
            "programme": row.programme,
            "year": row.year or None,
            "from": row.first_day.isoformat(),
            "not_after": row.review_on.isoformat(),
            "checked_as": row.reference,
        }
        for row in rows
    ]


def _imports(context: Context, connection: Connection, holder: CardholderId) -> list[dict[str, Any]]:
    """What a school's files have changed, with what the record said before, as long as that is kept."""
    run, change = import_run.c, import_change.c
    rows = connection.execute(
        select(run.school, run.at, change.what, change.before)
        .join_from(import_change, import_run)
        .where(change.cardholder_id == holder)
        .order_by(run.at, run.id)
    ).all()
    key = record_key(connection, context.keys.cardholder_kek, holder) if rows else None
    return [
        {
            "school": row.school,
            "at": _said(row.at),
            "what": _IMPORTED[row.what],
            "before": None if key is None or row.before is None else key.open(Field.IMPORT, row.before),
        }
        for row in rows
    ]


def _closing(connection: Connection, holder: CardholderId) -> dict[str, Any] | None:
    """That the person's accounts are being closed, or were; None: they are not."""
    query = select(account_closing).where(account_closing.c.cardholder_id == holder)
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    return {
        "why": _CLOSED[row.why],
        "holder_told_at": said(row.told_at),
        "cards_stopped_at": said(row.stopped_at),
        "ended_at": said(row.ended_at),
    }


def _payers(
    connection: Connection, holder: CardholderId, payers: Collection[OwnPayer]
) -> list[dict[str, Any]]:
    shared = {each.id for each in payers if each.is_shared}
    kinds = {each.id: each.kind for each in payers}
    return [
        {
            "payer": str(each.payer_id),
            "kind": kinds[each.payer_id],
            "from": _said(each.valid_from),
            "until": None if each.valid_until is None else _said(each.valid_until),
            "accounts": None if each.payer_id in shared else _accounts(connection, each.payer_id),
        }
        for each in history_of(connection, holder)
    ]


def _accounts(connection: Connection, payer: PayerId) -> list[dict[str, Any]]:
    rows = connection.execute(
        select(account.c.kind, account.c.unit, account.c.balance)
        .where(account.c.payer_id == payer)
        .order_by(account.c.kind, account.c.unit)
    )
    return [{"account": row.kind, "unit": row.unit, "balance_minor": row.balance} for row in rows]


def _limits(connection: Connection, holder: CardholderId) -> list[dict[str, Any]]:
    own = payer_limit.c
    rows = connection.execute(
        select(own.rule, own.amount_minor, own.valid_from)
        .where(own.cardholder_id == holder)
        .order_by(own.rule, own.valid_from)
    )
    return [
        {"rule": row.rule, "amount_minor": row.amount_minor, "from": _said(row.valid_from)} for row in rows
    ]


def _counters(connection: Connection, holder: CardholderId) -> list[dict[str, Any]]:
    own = counter.c
    rows = connection.execute(
        select(own.rule, own.period, own.used)
        .where(own.cardholder_id == holder)
        .order_by(own.rule, own.period)
    )
    return [{"rule": row.rule, "period": row.period, "used": row.used} for row in rows]


def _lending(connection: Connection, holder: CardholderId) -> dict[str, Any]:
    """What a library lends to the person, and has written down of it; no PIN, and not who barred whom."""
    known = connection.execute(select(member).where(member.c.cardholder_id == holder)).one_or_none()
    columns = {
        "loans": (loan.c.copy, loan.c.lent_at, loan.c.due_on, loan.c.renewals),
        "holds": (hold.c.title_id, hold.c.placed_at, hold.c.branch, hold.c.kept_until),
        "fines": (fine.c.amount_minor, fine.c.days_late, fine.c.charged_at),
        "payments": (payment.c.amount_minor, payment.c.method),
        "history": (history.c.title, history.c.lent_on, history.c.returned_on),
    }
    if known is None:
        return {}
    told: dict[str, Any] = {
        "member": known.barcode,
        "joined_at": _said(known.joined_at),
        "barred": known.barred_by is not None,
        "keeps_history": known.keeps_history,
    }
    for name, wanted in columns.items():
        whose = wanted[0].table.c.cardholder_id == holder
        rows = connection.execute(select(*wanted).where(whose)).mappings()
        told[name] = [
            {key: value.isoformat() if isinstance(value, date) else value for key, value in row.items()}
            for row in rows
        ]
    return told


def _transactions(
    connection: Connection, ids: Mapping[PayerId, Collection[TransactionId]]
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for payer, own in ids.items():
        ordered = sorted(own)
        for first in range(0, len(ordered), _IDS_AT_ONCE):
            found += _of_payer(connection, payer, ordered[first : first + _IDS_AT_ONCE])
    return sorted(found, key=lambda each: (each["occurred_at"], each["transaction"]))


def _of_payer(connection: Connection, payer: PayerId, ids: list[TransactionId]) -> list[dict[str, Any]]:
    row, details = ledger_transaction.c, transaction_details.c
    rows = connection.execute(
        select(ledger_transaction, details.details, details.retention_class)
        .select_from(
            ledger_transaction.outerjoin(
                transaction_details, (details.payer_id == row.payer_id) & (details.transaction_id == row.id)
            )
        )
        .where(row.payer_id == payer, row.id.in_(ids), row.kind != "tombstone")
    )
    return [
        {
            "transaction": str(each.id),
            "occurred_at": _said(each.occurred_at),
            "posted_at": _said(each.posted_at),
            "kind": each.kind,
            "service": each.service,
            "action": each.action,
            "provider": each.provider_id,
            "terminal": each.terminal_id,
            "decision": each.decision,
            "reason": each.reason,
            "amount_minor": each.amount_minor,
            "unit": each.unit,
            "details": each.details,
            "kept_as": each.retention_class,
        }
        for each in rows
    ]


def _who(actor: str) -> str:
    """A terminal by its name; whoever sat at a keyboard as staff."""
    kind, _, name = actor.partition(":")
    return f"terminal {name}" if kind == "terminal" else "staff"


def _said(moment: datetime) -> str:
    return moment.isoformat()
