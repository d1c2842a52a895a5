"""A terminal's message becomes a posted and answered transaction: the documented checks, in their one order.

1 size and syntax, 2 the terminal (its signature before this is called), 3 its role, 4 the known id, 5 chain
and proof, 6 the card's status, 7 nonce and time, 8 the service's rules, 9 floors (6 to 9 in `judging`). What
fails 1 to 5 takes no id and is noted as a security event; what fails later is a decline, stored and answered.
"""

from collections.abc import Sequence
from datetime import datetime

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
from cardservice.authorisation.proofs import CheckedProof
from cardservice.authorisation.refusals import note_refusal
from cardservice.authorisation.sales import sale_of
from cardservice.authorisation.settling import Prepared, Question, Settled, settle, settle_all
from cardservice.cardholders.records import opened_allergens
from cardservice.context import Context
from cardservice.errors import Erased, MessageRefused, RoleNotAllowed, ServiceOfAnother, TerminalRevoked
from cardservice.ledger.errors import ProofErased
from cardservice.tariffs.service import TariffVersion, tariff_in_force
from cardservice.terminals.roles import may_ask
from cardservice.terminals.service import Terminal, TermsHistory, terms_of


def authorise(context: Context, terminal: Terminal, message: Message, found: Found | None = None) -> Given:
    """Post the message, or find it posted; the stored answer. `found`: what was read for it already.

    Raises MessageRefused for what takes no id, and Busy where nothing was posted and the same message may be
    sent again.
    """
    try:
        return settle(context, question_of(context, terminal, message, found))
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


def read_terms(context: Context, terminal: Terminal) -> TermsHistory:
    """What the terminal may do and might do before."""
    with context.database.reading() as connection:
        return terms_of(connection, terminal.id)


def _asked(context: Context, terminal: Terminal, message: Message) -> Question | MessageRefused:
    try:
        return question_of(context, terminal, message)
    except MessageRefused as refusal:
        return refusal


def question_of(
    context: Context,
    terminal: Terminal,
    message: Message,
    found: Found | None = None,
    terms: TermsHistory | None = None,
) -> Question:
    """The message as it is to be settled, once it has passed the checks 2 and 3.

    An advice and an annulment are judged as of their moment. `terms`: those of the terminal, where they were
    read already. Raises MessageRefused.
    """
    wanted = wanted_for(message, None)
    if isinstance(message, AnnulMessage):
        notice = message
        # An annulment is a reversal advice: judged as of its moment, and never declined.
        _check_terminal(terminal, notice.time)
        return Question(
            terminal, notice, wanted, lambda facts: annulment_of(context, terminal, notice, facts), found
        )
    statement = message
    moment = statement.time if statement.is_advice else context.now()
    _check_terminal(terminal, moment)
    check_addressed(statement, context.scheme.id, terminal.id)
    if statement.is_advice:
        terminal = (terms or read_terms(context, terminal)).at(terminal, statement.time)
    _check_role(context, terminal, statement, moment)

    def decide(facts: Facts) -> Prepared:
        if not statement.is_advice:
            context.gate.require_open()
        tariff = _tariff(context, statement, facts.found.tariff)
        case = case_of(context, terminal, statement, facts, tariff)
        return sale_of(context, case, judge(case))

    return Question(terminal, statement, wanted, decide, found)


def _check_terminal(terminal: Terminal, moment: datetime) -> None:
    """Check 2, its signature apart, which the request carries."""
    if terminal.revoked_at is not None and terminal.is_revoked(moment):
        raise TerminalRevoked(terminal.id, terminal.revoked_at)


def _check_role(context: Context, terminal: Terminal, message: CardMessage, moment: datetime) -> None:
    """Check 3."""
    statement = message.signed.statement
    if not may_ask(terminal.role, context.services.get(statement.service), statement.action):
        raise RoleNotAllowed(terminal.id, terminal.role, f"{statement.service} {statement.action}")
    if not terminal.may_sell(statement.service, moment):
        raise ServiceOfAnother(terminal.id, terminal.provider_id, statement.service)


def case_of(
    context: Context,
    terminal: Terminal,
    message: CardMessage,
    facts: Facts,
    tariff: TariffVersion | None,
    proof: CheckedProof | None = None,
) -> Case:
    """Check 5, and what the checks after it look at. Raises MessageRefused. `proof`: that has passed 5."""
    statement = message.signed.statement
    if proof is None:
        proof = context.proofs.check(facts.found.certificate, message.signed, context.scheme.id)
        check_details(message)
    service = context.services[statement.service]
    action = service.actions[statement.action]
    return Case(
        message=message,
        terminal=terminal,
        facts=facts,
        proof=proof,
        nonce_is_fresh=_is_fresh(context, terminal, message),
        service=service,
        tariff=None if tariff is None else context.tariffs.get(tariff),
        currency=context.scheme.currency,
        timezone=context.scheme.timezone,
        allergens=_allergens(context, facts) if action.sees_allergens else frozenset(),
    )


def _allergens(context: Context, facts: Facts) -> frozenset[str]:
    """What the holder must not eat. Raises Erased, and RecordUnreadable: unknown is not the same as none."""
    sealed, key = facts.card.sealed_allergens, facts.found.key
    if sealed is None or key is None:
        return frozenset()
    try:
        return opened_allergens(context.keys.cardholder_kek, key, facts.card.cardholder_id, sealed)
    except ProofErased as error:
        raise Erased(str(error)) from error


def _is_fresh(context: Context, terminal: Terminal, message: CardMessage) -> bool:
    nonce = message.signed.statement.nonce
    if nonce is None:
        return False
    try:
        context.keys.nonces.check(nonce, terminal.id, context.now())
    except NonceStale:
        return False
    return True


def _tariff(context: Context, message: CardMessage, found: TariffVersion | None) -> TariffVersion | None:
    """The tariff to decide by: of an advice the one it names, else one that was on record at its moment."""
    statement = message.signed.statement
    if not message.is_advice or found is None or found.version == statement.tariff_version:
        return found
    with context.database.reading() as connection:
        return tariff_in_force(connection, statement.service, statement.time, statement.time) or found
