"""Why was I charged, or refused: a stored decision reached again from what was stored with it.

The same pure rules judge the same inputs; whether they come to the same is part of the explanation. What had
a say is told check by check, in plain words that can be translated, each with a stable code.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, and_, select

from cardservice.api.fields import to_rfc3339
from cardservice.authorisation.case import Case, Verdict
from cardservice.authorisation.counting import changes_of
from cardservice.authorisation.judging import judge, judge_again, without_resources
from cardservice.authorisation.reasons import Flag
from cardservice.authorisation.seen import Move, StoredDecision, case_of
from cardservice.authorisation.speaking import Spoken, spoken_of, spoken_without_rules
from cardservice.context import Context
from cardservice.errors import Erased, ExplanationMissing, TransactionUnknown
from cardservice.ids import ProviderId, TerminalId, TransactionId
from cardservice.ledger.by_id import payers_with
from cardservice.ledger.models import ledger_transaction, transaction_details, transfer
from cardservice.ledger.values import INTO_ARREARS, NewTransfer
from cardservice.services.seam import APPROVED, Service
from cardservice.tariffs.service import TariffVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A stored decision, what had a say in it, and whether the rules come to the same again.

    `differs` names what does not agree; it is None where there was nothing to decide: of a payment, of an
    annulment.
    """

    transaction: TransactionId
    kind: str
    decision: str
    reason: str
    amount_minor: int | None
    currency: str
    occurred_at: str
    decided_at: str
    spoken: tuple[Spoken, ...]
    inputs: Mapping[str, Any]
    differs: tuple[str, ...] | None

    @property
    def agrees(self) -> bool | None:
        """Whether the same rules come to the same; None where they had nothing to decide."""
        return None if self.differs is None else not self.differs

    def to_json(self) -> dict[str, Any]:
        """For scripts; `text` is in English, `code` and `values` are for translators."""
        return {
            "transaction": str(self.transaction),
            "kind": self.kind,
            "decision": self.decision,
            "reason": self.reason,
            "amount_minor": self.amount_minor,
            "currency": self.currency,
            "occurred_at": self.occurred_at,
            "decided_at": self.decided_at,
            "rules": [spoken.to_json() for spoken in self.spoken],
            "inputs": dict(self.inputs),
            "agrees": self.agrees,
            "differs": None if self.differs is None else list(self.differs),
        }


def explain(context: Context, connection: Connection, transaction: UUID) -> Explanation:
    """Why a transaction was decided as it was; whoever asks for somebody records it in the audit log.

    Raises TransactionUnknown, Erased where its details are gone, and ExplanationMissing where what was seen
    was not kept, or its service or tariff is not there any more.
    """
    row = _find(connection, transaction)
    if row.kind not in {"request", "advice"}:
        return _explanation(row, spoken_without_rules(row.kind, row.reason), {}, None)
    if row.answer is None:
        raise Erased(f"the details of transaction {transaction} were erased; what is left is its ledger row")
    stored = _stored(row, _moves(connection, row))
    if "seen" not in stored.answer:
        raise ExplanationMissing(f"transaction {transaction} was decided before its inputs were kept")
    case, verdict = decide_again(context.services, _tariff(context, stored), stored)
    return _explanation(row, spoken_of(case, verdict), stored.seen, differences(stored, verdict))


def decide_again(
    services: Mapping[str, Service], tariff: object | None, stored: StoredDecision
) -> tuple[Case, Verdict]:
    """The case as it was, and the verdict of today's program on it. Raises ExplanationMissing."""
    service = services.get(stored.service)
    if service is None or stored.action not in service.actions:
        raise ExplanationMissing(f"there is no {stored.service} {stored.action} any more")
    case = case_of(stored, service, tariff)
    # A request that came back was approved, whatever speaks against it now.
    recovered = Flag.RECOVERED in stored.flags and stored.decision == APPROVED
    verdict = judge_again(case) if recovered else judge(case)
    return case, without_resources(case, verdict) if "taken" in stored.seen else verdict


def differences(stored: StoredDecision, verdict: Verdict) -> tuple[str, ...]:
    """What of a stored decision is not what the verdict says, by name; nothing where they agree."""
    given = stored.answer["given"]
    receipt = [{"label": line.label, "amount_minor": line.amount_minor} for line in verdict.lines]
    pairs: dict[str, tuple[object, object]] = {
        "decision": (stored.decision, verdict.decision),
        "reason": (stored.reason, verdict.reason),
        "message": (given["message"], verdict.message),
        "amount": (stored.amount_minor, verdict.amount_minor),
        "receipt": (given["receipt"], receipt),
        # Not the rules' own: it lets the tables know that they allowed it.
        "flags": ([flag for flag in stored.flags if flag != INTO_ARREARS], list(verdict.flags)),
        "duplicate_of": (stored.duplicate_of, verdict.duplicate_of),
        "transfers": (stored.transfers, moves_of(verdict.transfers)),
        "counters": (
            changes_of(stored.answer),
            [(one.rule, one.period, one.change) for one in verdict.counters],
        ),
        "inputs": (stored.answer["inputs"], _as_json(verdict.inputs)),
    }
    return tuple(name for name, (before, again) in pairs.items() if before != again)


def moves_of(transfers: Sequence[NewTransfer]) -> tuple[Move, ...]:
    """The transfers as they are compared."""
    return tuple((one.debit, one.credit, one.amount_minor, one.unit) for one in transfers)


def _as_json(value: Any) -> Any:
    """As it reads when it has been stored: what is a tuple becomes a list."""
    if isinstance(value, Mapping):
        return {str(key): _as_json(each) for key, each in value.items()}
    return [_as_json(each) for each in value] if isinstance(value, list | tuple) else value


def _find(connection: Connection, transaction: UUID) -> Row[*tuple[Any, ...]]:
    stored, kept = ledger_transaction.c, transaction_details.c
    joined = ledger_transaction.outerjoin(
        transaction_details, and_(kept.payer_id == stored.payer_id, kept.transaction_id == stored.id)
    )
    row = connection.execute(
        select(ledger_transaction, kept.details, kept.answer)
        .select_from(joined)
        .where(stored.payer_id.in_(payers_with(connection, TransactionId(transaction))))
        .where(stored.id == transaction)
    ).one_or_none()
    if row is None:
        raise TransactionUnknown(transaction)
    return row


def _moves(connection: Connection, row: Row[*tuple[Any, ...]]) -> tuple[Move, ...]:
    moved = transfer.c
    rows = connection.execute(
        select(moved.debit, moved.credit, moved.amount_minor, moved.unit)
        .where(moved.payer_id == row.payer_id, moved.transaction_id == row.id)
        .order_by(moved.line)
    )
    return tuple((one.debit, one.credit, one.amount_minor, one.unit) for one in rows)


def _stored(row: Row[*tuple[Any, ...]], moves: tuple[Move, ...]) -> StoredDecision:
    return StoredDecision(
        id=TransactionId(row.id),
        kind=row.kind,
        decision=row.decision,
        reason=row.reason,
        amount_minor=row.amount_minor,
        unit=row.unit,
        service=row.service,
        action=row.action,
        terminal_id=TerminalId(row.terminal_id),
        provider_id=ProviderId(row.provider_id),
        tariff_version=row.tariff_version,
        offline=row.offline,
        flags=tuple(row.flags),
        replaces=row.replaces,
        duplicate_of=row.duplicate_of,
        occurred_at=row.occurred_at,
        posted_at=row.posted_at,
        details=row.details or {},
        answer=row.answer,
        transfers=moves,
    )


def _tariff(context: Context, stored: StoredDecision) -> object | None:
    """The tariff that it was judged by; a loaded version is never changed and never deleted."""
    version = stored.seen["tariff"]
    if version is None or stored.service not in context.services:
        return None
    try:
        return context.tariffs.get(TariffVersion(stored.service, version, stored.occurred_at))
    except LookupError as error:
        raise ExplanationMissing(f"the tariff {stored.service} {version} is not there any more") from error


def _explanation(
    row: Row[*tuple[Any, ...]],
    spoken: tuple[Spoken, ...],
    inputs: Mapping[str, Any],
    differs: tuple[str, ...] | None,
) -> Explanation:
    return Explanation(
        transaction=TransactionId(row.id),
        kind=row.kind,
        decision=row.decision,
        reason=row.reason,
        amount_minor=row.amount_minor,
        currency=row.unit,
        occurred_at=to_rfc3339(row.occurred_at),
        decided_at=to_rfc3339(row.posted_at),
        spoken=spoken,
        inputs=inputs,
        differs=differs,
    )
