"""A terminal's message becomes a posted and answered transaction: the documented checks, in their one order.

1 size and syntax, 2 the terminal (its signature before this is called), 3 its role, 4 the known id, 5 chain
and proof, 6 the card's status, 7 nonce and time, 8 the service's rules, 9 floors (6 to 9 in `judging`). What
fails 1 to 5 takes no id and is noted as a security event; what fails later is a decline, stored and answered.
"""

from collections.abc import Sequence
from datetime import datetime

from cardservice.audit.service import SecurityEvent, record_security_event
from cardservice.authorisation.annulment import annulment_of
from cardservice.authorisation.answers import Given
from cardservice.authorisation.case import Case
from cardservice.authorisation.facts import Facts
from cardservice.authorisation.found import Found, wanted_for
from cardservice.authorisation.judging import judge
from cardservice.authorisation.messages import (
    AnnulMessage,
    CardMessage,
    Message,
    check_addressed,
    check_details,
)
from cardservice.authorisation.nonce import NonceStale
from cardservice.authorisation.sales import sale_of
from cardservice.authorisation.settling import Prepared, Question, Settled, settle, settle_all
from cardservice.context import Context
from cardservice.errors import MessageRefused, RoleNotAllowed, TerminalRevoked
from cardservice.tariffs.service import TariffVersion
from cardservice.terminals.roles import may_ask
from cardservice.terminals.service import Terminal


def authorise(context: Context, terminal: Terminal, message: Message, found: Found | None = None) -> Given:
    """Post the message, or find it posted; the stored answer. `found`: what was read for it already.

    Raises MessageRefused for what takes no id, and Busy where nothing was posted and the same message may be
    sent again.
    """
    try:
        return settle(context, _question(context, terminal, message, found))
    except MessageRefused as refusal:
        note_refusal(context, terminal.id, message, refusal)
        raise


def authorise_all(
    context: Context, terminal: Terminal, messages: Sequence[Message | MessageRefused]
) -> list[Settled]:
    """What becomes of each message, in their order: what `authorise` would have answered or raised."""
    settled: list[Settled | None] = []
    questions = []
    for message in messages:
        asked = message if isinstance(message, MessageRefused) else _asked(context, terminal, message)
        settled.append(asked if isinstance(asked, MessageRefused) else None)
        questions += [] if isinstance(asked, MessageRefused) else [asked]
    answers = iter(settle_all(context, questions))
    done = [next(answers) if one is None else one for one in settled]
    for message, one in zip(messages, done, strict=True):
        if isinstance(one, MessageRefused):
            note_refusal(context, terminal.id, None if isinstance(message, MessageRefused) else message, one)
    return done


def _asked(context: Context, terminal: Terminal, message: Message) -> Question | MessageRefused:
    try:
        return _question(context, terminal, message, None)
    except MessageRefused as refusal:
        return refusal


def _question(context: Context, terminal: Terminal, message: Message, found: Found | None) -> Question:
    """The message as it is to be settled, once it has passed the checks that look at nothing stored."""
    wanted = wanted_for(message, None)
    if isinstance(message, AnnulMessage):
        notice = message
        # An annulment is a reversal advice: judged as of its moment, and never declined.
        _check_terminal(terminal, notice.time)
        currency = context.scheme.currency
        return Question(
            terminal, notice, wanted, lambda facts: annulment_of(currency, terminal, notice, facts), found
        )
    statement = message
    _check_terminal(terminal, statement.time if statement.is_advice else context.now())
    check_addressed(statement, context.scheme.id, terminal.id)
    _check_role(context, terminal, statement)

    def decide(facts: Facts) -> Prepared:
        case = _case(context, terminal, statement, facts)
        return sale_of(context, case, judge(case))

    return Question(terminal, statement, wanted, decide, found)


def _check_terminal(terminal: Terminal, moment: datetime) -> None:
    """Check 2, its signature apart, which the request carries."""
    if terminal.revoked_at is not None and terminal.is_revoked(moment):
        raise TerminalRevoked(terminal.id, terminal.revoked_at)


def _check_role(context: Context, terminal: Terminal, message: CardMessage) -> None:
    """Check 3."""
    statement = message.signed.statement
    if not may_ask(terminal.role, context.services.get(statement.service), statement.action):
        raise RoleNotAllowed(terminal.id, terminal.role, f"{statement.service} {statement.action}")


def _case(context: Context, terminal: Terminal, message: CardMessage, facts: Facts) -> Case:
    """Check 5, and what the checks after it look at."""
    statement = message.signed.statement
    proof = context.proofs.check(facts.found.certificate, message.signed, context.scheme.id)
    check_details(message)
    return Case(
        message=message,
        terminal=terminal,
        facts=facts,
        proof=proof,
        nonce_is_fresh=_is_fresh(context, terminal, message),
        service=context.services[statement.service],
        tariff=_prepared(context, facts.found.tariff),
        currency=context.scheme.currency,
    )


def _is_fresh(context: Context, terminal: Terminal, message: CardMessage) -> bool:
    nonce = message.signed.statement.nonce
    if nonce is None:
        return False
    try:
        context.keys.nonces.check(nonce, terminal.id, context.now())
    except NonceStale:
        return False
    return True


def _prepared(context: Context, version: TariffVersion | None) -> object | None:
    return None if version is None else context.tariffs.get(version)


def note_refusal(
    context: Context, terminal_id: str, message: Message | None, refusal: MessageRefused
) -> None:
    """Note a refused message by terminal, id and hash; an advice or annulment among them is quarantined."""
    told = isinstance(message, AnnulMessage) or (message is not None and message.is_advice)
    event = SecurityEvent(
        at=context.now(),
        code=refusal.code,
        detail=str(refusal),
        terminal_id=terminal_id,
        transaction_id=None if message is None else message.id,
        body=None if message is None else message.body,
        quarantined=told,
    )
    with context.database.begin() as connection:
        record_security_event(connection, event)
