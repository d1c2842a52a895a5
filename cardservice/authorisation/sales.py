"""A verdict becomes a posting: the ledger row, its transfers, the encrypted proof, the erasable details."""

from typing import Any

from cardservice.authorisation.answers import new_answer
from cardservice.authorisation.case import Case, Verdict
from cardservice.authorisation.counting import as_stored
from cardservice.authorisation.evidence import Evidence, crl_sha256, seal
from cardservice.authorisation.judging import without_resources
from cardservice.authorisation.money import balances_after, receipt_lines
from cardservice.authorisation.seen import seen_of
from cardservice.authorisation.settling import Prepared
from cardservice.context import Context
from cardservice.ids import TransactionId
from cardservice.ledger.values import (
    INTO_ARREARS,
    PAYER_ARREARS,
    PAYER_RESERVED,
    Kind,
    NewDetails,
    NewProof,
    NewTransaction,
    Posting,
)


def sale_of(context: Context, case: Case, verdict: Verdict, sealed: NewProof | None = None) -> Prepared:
    """What to post for a judged statement, and its answer. `sealed`: its proof, where that is done."""
    answer = answer_of(case, verdict)
    payer_id = case.payer_id
    posting = Posting(
        payer_id=payer_id,
        expected_version=case.view.version,
        transaction=transaction_of(case, verdict),
        transfers=verdict.transfers,
        counters=verdict.counters,
        proof=_proof(context, case) if sealed is None else sealed,
        details=details_of(case, verdict, answer),
        tombstone=_tombstone(case),
        also_under=case.facts.also_under(payer_id),
    )
    sets_aside = any(transfer.credit == PAYER_RESERVED for transfer in verdict.transfers)
    opens = case.currency if sets_aside and case.view.account(PAYER_RESERVED) is None else None
    if not verdict.claims:
        return Prepared(posting, answer, opens=opens)
    return Prepared(
        posting,
        answer,
        claims=verdict.claims,
        opens=opens,
        otherwise=lambda: sale_of(context, case, without_resources(case, verdict), sealed),
    )


def answer_of(case: Case, verdict: Verdict) -> dict[str, Any]:
    """The answer as it is stored."""
    action = case.service.actions[case.message.signed.statement.action]
    return new_answer(
        transaction_id=case.message.id,
        kind=_kind(case),
        decision=verdict.decision,
        reason=verdict.reason,
        message=verdict.message,
        amount_minor=verdict.amount_minor,
        currency=case.currency,
        lines=verdict.lines,
        balances=balances_after(case.view, verdict.transfers) if action.shows_balances else (),
        flags=verdict.flags,
        has_proof=True,
        moment=case.facts.moment,
    )


def transaction_of(case: Case, verdict: Verdict) -> NewTransaction:
    """The ledger's row."""
    statement = case.message.signed.statement
    return NewTransaction(
        id=case.message.id,
        origin="card",
        kind=_kind(case),
        decision=verdict.decision,
        reason=verdict.reason,
        unit=case.currency,
        body=case.message.body,
        occurred_at=statement.time,
        posted_at=case.facts.moment,
        terminal_id=case.terminal.id,
        sequence=statement.sequence,
        provider_id=case.terminal.provider_id,
        service=statement.service,
        action=statement.action,
        amount_minor=verdict.amount_minor,
        tariff_version=statement.tariff_version,
        offline=statement.offline,
        flags=(*verdict.flags, *_into_arrears(case, verdict)),
        replaces=case.message.replaces,
        duplicate_of=verdict.duplicate_of,
    )


def _into_arrears(case: Case, verdict: Verdict) -> tuple[str, ...]:
    """That the rules let what they approved end in arrears, where it does: the tables ask for it."""
    owes = any(transfer.debit == PAYER_ARREARS for transfer in verdict.transfers)
    may = any(line.may_end_in_arrears for line in verdict.lines)
    return (INTO_ARREARS,) if owes and may and not case.message.is_advice else ()


def _proof(context: Context, case: Case) -> NewProof:
    found = case.facts.found
    evidence = Evidence(
        statement=case.message.signed.raw,
        certificate_sha256=case.proof.certificate_sha256,
        crl_sha256=crl_sha256(context, case.proof.issuer, found.crl, case.facts.moment),
        judged_at=case.facts.moment,
    )
    return seal(context, found.key, case.facts.card.cardholder_id, case.message.id, evidence)


def details_of(case: Case, verdict: Verdict, answer: dict[str, Any]) -> NewDetails:
    """What is erased when its retention ends: details, answer, and what explains the decision."""
    action = case.service.actions[case.message.signed.statement.action]
    return NewDetails(
        retention_class=action.retention_class,
        details=dict(case.message.details),
        salt=case.message.details_salt,
        answer={
            "given": answer,
            "inputs": dict(verdict.inputs),
            "counters": as_stored(verdict.counters, verdict.funding),
            "seen": seen_of(case, verdict),
            # Which line of the receipt each transfer pays: what is refunded by line goes back by it.
            "receipt_lines": list(receipt_lines(verdict.lines, verdict.transfers)),
        },
    )


def _tombstone(case: Case) -> TransactionId | None:
    """The id that the statement stands for, where it has not been seen: it is refused when it comes."""
    return None if case.message.replaces in case.facts.known else case.message.replaces


def _kind(case: Case) -> Kind:
    return "advice" if case.message.is_advice else "request"
