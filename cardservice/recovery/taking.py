"""Taking what terminals send again: requests by the service's own answers, everything else as always."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import insert, select, update

from cardservice.authorisation.answers import Given
from cardservice.authorisation.case import Case, Verdict
from cardservice.authorisation.facts import Facts
from cardservice.authorisation.found import wanted_for
from cardservice.authorisation.judging import judge_again
from cardservice.authorisation.messages import CardMessage, Message, check_addressed
from cardservice.authorisation.reasons import Flag
from cardservice.authorisation.refusals import note_refusal
from cardservice.authorisation.sales import sale_of
from cardservice.authorisation.service import case_of, question_of
from cardservice.authorisation.settling import Prepared, Question, Settled, settle_all
from cardservice.context import Context
from cardservice.errors import MessageRefused, RoleNotAllowed, TerminalRevoked
from cardservice.keys import AUTHORITY
from cardservice.ledger.values import INTO_ARREARS, PAYER_ARREARS
from cardservice.pki_store.models import certificate
from cardservice.recovery.errors import AnswerInvalid, AnswerMissing, NotRecovering
from cardservice.recovery.models import recovered_message, recovery_terminal
from cardservice.recovery.service import Recovery, open_recovery
from cardservice.services.seam import APPROVED
from cardservice.terminals.service import Terminal
from pki.errors import PkiError
from pki.statements import Answer, open_answer, signer_sha256
from pki.verification import Purpose, TrustStore, verify


@dataclass(frozen=True, slots=True)
class SentAgain:
    """A message as it was sent before, and the service's answer to it where it is a request."""

    message: Message | MessageRefused
    signed_answer: bytes | None


def take(context: Context, terminal: Terminal, sent: Sequence[SentAgain], *, complete: bool) -> list[Settled]:
    """What becomes of each, in their order; `complete`: after these the terminal has sent all that it kept.

    What is in the ledger already is answered as it was. Raises NotRecovering.
    """
    with context.database.reading() as connection:
        recovery = open_recovery(connection)
    if recovery is None:
        raise NotRecovering
    keys = _AnswerKeys(context)
    asked = [_asked(context, terminal, keys, one) for one in sent]
    questions = [one.question for one in asked if isinstance(one, _Asked)]
    answers = iter(settle_all(context, questions))
    settled = [next(answers) if isinstance(one, _Asked) else one for one in asked]
    for one, become in zip(sent, settled, strict=True):
        if isinstance(become, MessageRefused):
            message = None if isinstance(one.message, MessageRefused) else one.message
            note_refusal(context, terminal.id, message, become)
    _note(context, recovery, terminal, list(zip(asked, settled, strict=True)), complete=complete)
    return settled


@dataclass(frozen=True, slots=True)
class _Asked:
    question: Question
    # What the service had answered; None of what needs no answer
    answer: Answer | None


class _AnswerKeys:
    """The keys that the service's answers are verified with, each certificate read once."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._keys: dict[bytes | None, ec.EllipticCurvePublicKey] = {}

    def __call__(self, raw: bytes) -> ec.EllipticCurvePublicKey:
        """The key of the certificate that this answer names. Raises PkiError and LookupError."""
        named = signer_sha256(raw)
        if named not in self._keys:
            leaf = self._certificate(named)
            issuer = self._context.issuer_of(leaf)
            trust = TrustStore(roots=(self._context.certificates["root"],), intermediates=(issuer,))
            held = verify(leaf, Purpose.SERVICE, leaf.not_valid_before_utc, trust, require_status=False)
            self._keys[named] = held.public_key
        return self._keys[named]

    def _certificate(self, named: bytes | None) -> x509.Certificate:
        current = self._context.keys.answer_certificate
        if named == current.fingerprint(hashes.SHA256()):
            return current
        wanted = select(certificate.c.der).where(
            certificate.c.authority == AUTHORITY, certificate.c.sha256 == named
        )
        with self._context.database.reading() as connection:
            der = connection.scalar(wanted)
        if der is None:
            raise LookupError("its certificate is not on record")
        return x509.load_der_x509_certificate(der)


def _asked(
    context: Context, terminal: Terminal, keys: _AnswerKeys, sent: SentAgain
) -> _Asked | MessageRefused:
    if isinstance(sent.message, MessageRefused):
        return sent.message
    message = sent.message
    try:
        if not isinstance(message, CardMessage) or message.is_advice:
            return _Asked(question_of(context, terminal, message), None)
        answer = _verified(context, keys, message, sent.signed_answer)
        return _Asked(_question(context, terminal, message, answer), answer)
    except MessageRefused as refusal:
        return refusal


def _verified(context: Context, keys: _AnswerKeys, message: CardMessage, raw: bytes | None) -> Answer:
    """What the service had answered to this very message. Raises AnswerMissing and AnswerInvalid."""
    if raw is None:
        raise AnswerMissing("a request is posted again by the service's own answer to it alone")
    try:
        answer = open_answer(raw, keys(raw), context.scheme.id)
    except (PkiError, LookupError) as error:
        raise AnswerInvalid(f"the answer does not hold: {error}") from error
    if (answer.id, answer.body) != (message.id, message.body):
        raise AnswerInvalid("the answer is to another message")
    return answer


def _question(context: Context, terminal: Terminal, message: CardMessage, answer: Answer) -> Question:
    """The request as it is to be settled: what speaks for it is its answer, as of its moment."""
    statement = message.signed.statement
    check_addressed(message, context.scheme.id, terminal.id)
    if terminal.revoked_at is not None and terminal.is_revoked(answer.time):
        raise TerminalRevoked(terminal.id, terminal.revoked_at)
    service = context.services.get(statement.service)
    if service is None or statement.action not in service.actions:
        raise RoleNotAllowed(terminal.id, terminal.role, f"{statement.service} {statement.action}")
    # By the tariff that it names, as the terminal had it.
    wanted = replace(wanted_for(message, None), tariff_version=statement.tariff_version)

    def decide(facts: Facts) -> Prepared:
        case = case_of(context, terminal, message, facts, facts.found.tariff)
        verdict = judge_again(case) if answer.decision == APPROVED else _declined_before(case, answer)
        return _prepared(context, case, verdict)

    return Question(terminal, message, wanted, decide)


def _declined_before(case: Case, answer: Answer) -> Verdict:
    return Verdict(
        decision="declined",
        reason=answer.reason,
        message="It was declined before.",
        amount_minor=case.message.signed.statement.amount_minor,
        flags=(Flag.RECOVERED,),
    )


def _prepared(context: Context, case: Case, verdict: Verdict) -> Prepared:
    prepared = sale_of(context, case, verdict)
    transaction = prepared.posting.transaction
    owes = any(transfer.debit == PAYER_ARREARS for transfer in verdict.transfers)
    if owes and INTO_ARREARS not in transaction.flags:
        # What was paid in and lost is missing: it is owed until that is back, too.
        transaction = replace(transaction, flags=(*transaction.flags, INTO_ARREARS))
    otherwise = None
    if verdict.claims:
        # Somebody else has taken it since: who had it first has had it.
        taken = replace(verdict, claims=(), flags=(*verdict.flags, Flag.RESOURCE_TAKEN))
        otherwise = lambda: _prepared(context, case, taken)  # noqa: E731 - as in sales
    posting = replace(prepared.posting, transaction=transaction)
    return replace(prepared, posting=posting, otherwise=otherwise)


def _note(
    context: Context,
    recovery: Recovery,
    terminal: Terminal,
    become: Sequence[tuple[_Asked | MessageRefused, Settled]],
    *,
    complete: bool,
) -> None:
    """Write down what came back, and from whom."""
    now = context.now()
    back = [
        _row(recovery, terminal, asked, given, now)
        for asked, given in become
        if isinstance(asked, _Asked) and isinstance(given, Given) and not given.repeated
    ]
    key = {"recovery": recovery.number, "terminal_id": terminal.id}
    sender = recovery_terminal.c
    mine = (sender.recovery == recovery.number, sender.terminal_id == terminal.id)
    with context.database.begin() as connection:
        known = {
            row.transaction_id
            for row in connection.execute(
                select(recovered_message.c.transaction_id).where(
                    recovered_message.c.recovery == recovery.number,
                    recovered_message.c.transaction_id.in_([row["transaction_id"] for row in back]),
                )
            )
        }
        if new := [row for row in back if row["transaction_id"] not in known]:
            connection.execute(insert(recovered_message), new)
        before = connection.execute(select(recovery_terminal).where(*mine)).one_or_none()
        values = {"told_at": now, "messages": len(become), "complete": complete}
        if before is None:
            connection.execute(insert(recovery_terminal).values(**key, **values))
        else:
            values |= {"messages": before.messages + len(become), "complete": before.complete or complete}
            connection.execute(update(recovery_terminal).where(*mine).values(values))


def _row(
    recovery: Recovery, terminal: Terminal, asked: _Asked, given: Given, now: datetime
) -> Mapping[str, Any]:
    return {
        "recovery": recovery.number,
        "transaction_id": asked.question.message.id,
        "terminal_id": terminal.id,
        "decision": given.answer["decision"],
        "answered_at": None if asked.answer is None else asked.answer.time,
        "posted_at": now,
    }
