"""Refunds that a terminal asks for, of its own provider's sales: the same plan and posting as for staff.

No card signs one; the terminal's request signature is what makes it its own. A refusal takes no id.
"""

from dataclasses import replace
from uuid import UUID

from sqlalchemy import Connection

from cardservice.audit.service import record
from cardservice.authorisation.answers import Given
from cardservice.authorisation.errors import IdOfAnotherTerminal
from cardservice.authorisation.refunding import Objection, plan
from cardservice.authorisation.refunds import Refund, refund_posting
from cardservice.cards.service import find_card
from cardservice.context import Context
from cardservice.errors import Busy, CardNotInScheme, Erased, IdConflict, RefundRefused, RoleNotAllowed
from cardservice.ids import PayerId
from cardservice.ledger.payers import payers_of
from cardservice.ledger.posting import locked, post_on
from cardservice.ledger.reading import read_on
from cardservice.ledger.values import KnownTransaction, Outcome, ReadQuery
from cardservice.services.seam import Returning
from cardservice.tariffs.service import tariff_in_force
from cardservice.terminals.roles import may_ask, sees_balances
from cardservice.terminals.service import Terminal


def give_at(context: Context, terminal: Terminal, card: UUID, refund: Refund) -> Given:
    """Post a refund, once; its stored answer.

    Raises CardNotInScheme, RoleNotAllowed, RefundRefused, IdConflict, IdOfAnotherTerminal, Erased
    and Busy.
    """
    with context.database.reading() as connection:
        payers = _payers(connection, card)
    with locked(context.database, payers) as connection:
        [found] = read_on(connection, [ReadQuery(payers, (refund.id, refund.wish.sale))])
        if known := found.known.get(refund.id):
            return _answered(terminal, known, refund)
        sale = found.known.get(refund.wish.sale)
        if sale is not None and sale.provider_id == terminal.provider_id:
            _check_role(context, terminal, sale)
            _check_time(context, connection, sale)
        else:
            # Whether there is such a sale of somebody else is none of its business.
            sale = None
        view = found.views[payers[0] if sale is None else sale.payer_id]
        planned = plan(view, sale, refund.wish)
        if isinstance(planned, Objection):
            raise RefundRefused(planned.reason, planned.message, planned.left_minor)
        if not sees_balances(terminal.role, context.services):
            planned = replace(planned, balances=())
        also = tuple((other, found.views[other].version) for other in payers if other != view.payer_id)
        posting, answer = refund_posting(
            context, refund, view, planned, terminal=terminal.id, also_under=also
        )
        [result] = post_on(connection, [posting])
        if result.outcome is not Outcome.POSTED:
            raise Busy("this payer's account is in use; send the same request again")
        detail = {"sale": str(refund.wish.sale), "line": refund.wish.line}
        record(connection, f"terminal:{terminal.id}", "refund.give", refund.id, context.now(), **detail)
    return Given(body=refund.body, answer=answer, answered_at=posting.transaction.posted_at)


def _payers(connection: Connection, card_id: UUID) -> tuple[PayerId, ...]:
    card = find_card(connection, card_id)
    payers = () if card is None else payers_of(connection, card.cardholder_id)
    if not payers:
        raise CardNotInScheme("the card that the refund names is not of this scheme")
    return payers


def _answered(terminal: Terminal, known: KnownTransaction, refund: Refund) -> Given:
    if known.terminal_id != terminal.id:
        raise IdOfAnotherTerminal("this id was not drawn by this terminal; a terminal draws its own")
    if known.body != refund.body:
        raise IdConflict("this id is taken by another message; a new attempt needs a new id")
    if known.answer is None:
        raise Erased("the details of this transaction were erased; its id stays refused")
    return Given(body=refund.body, answer=known.answer["given"], answered_at=known.posted_at, repeated=True)


def _check_time(context: Context, connection: Connection, sale: KnownTransaction) -> None:
    """Whether a terminal may give it back still; staff may later. Raises RefundRefused."""
    service = context.services[sale.service or ""]
    version = tariff_in_force(connection, service.name, sale.occurred_at)
    if not isinstance(service, Returning) or version is None:
        return
    refusal = service.refusal_to_return(context.tariffs.get(version), sale.occurred_at, context.now())
    if refusal is not None:
        raise RefundRefused(refusal.reason, refusal.message, 0)


def _check_role(context: Context, terminal: Terminal, sale: KnownTransaction) -> None:
    """Who may sell it may give it back."""
    service = None if sale.service is None else context.services.get(sale.service)
    if not may_ask(terminal.role, service, sale.action or ""):
        raise RoleNotAllowed(terminal.id, terminal.role, f"{sale.service} {sale.action}")
