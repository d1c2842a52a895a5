"""What a bureau sends back: requests for the keys that cards have made, and what became of the cards.

All of a file is taken, or nothing. The same file again changes nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from cardservice.audit.service import record
from cardservice.blanks.service import By, take_blank
from cardservice.bureau.errors import BadLine, BureauFileRefused, NotOfForm
from cardservice.bureau.files import RESULT, Line, from_base64, read, refused
from cardservice.bureau.orders import Batch, Bureau, require_batch, require_bureau
from cardservice.cards.personalisation import (
    Order,
    OrderState,
    certify,
    report,
    require_order,
    standing_certificates,
)
from cardservice.cards.service import AUTHORITY
from cardservice.cards.slots import SLOTS_OF_KIND
from cardservice.context import Context
from cardservice.errors import CardServiceError
from pki.authority import Authority

KEYS, MADE, FAILED = "keys", "made", "failed"


@dataclass(frozen=True, slots=True)
class Taken:
    """What of a file was new."""

    batch: UUID
    keys: int
    made: int
    failed: int
    # Lines that said what was known
    known: int


def take_results(
    context: Context, bureau_id: str, data: bytes, *, actor: str, dry_run: bool = False
) -> Taken:
    """Take a file of a bureau as a whole. Raises BureauFileRefused with every bad line, and OrderInvalid.

    With `dry_run` it is looked at all the same, and nothing is kept.
    """
    with context.database.begin() as connection:
        attempt = connection.begin_nested()
        taken = _take(context, connection, bureau_id, data, actor)
        if dry_run:
            attempt.rollback()
        else:
            attempt.commit()
    return taken


def _take(context: Context, connection: Connection, bureau_id: str, data: bytes, actor: str) -> Taken:
    whom = require_bureau(connection, bureau_id)
    head, lines = read(data, RESULT, whom.signing_key)
    batch = _batch(connection, context, whom, head)
    taking = _Taking(context, connection, whom, batch, actor)
    bad = [BadLine(each.number, reason) for each in lines if (reason := taking.take(each)) is not None]
    if bad:
        # With the transaction goes what the good lines have done.
        raise BureauFileRefused(bad)
    counts = taking.counts
    told = {name: counts[name] for name in (KEYS, MADE, FAILED)}
    record(connection, actor, "bureau.results", batch.id, context.now(), **told)
    return Taken(batch.id, **told, known=counts["known"])


class _Taking:
    """One file, line by line."""

    def __init__(
        self, context: Context, connection: Connection, whom: Bureau, batch: Batch, actor: str
    ) -> None:
        self._connection, self._whom, self._batch, self._actor = connection, whom, batch, actor
        self._authority: Authority = context.authority(AUTHORITY, connection)
        self._moment: datetime = context.now()
        self._seen: set[UUID] = set()
        self.counts = dict.fromkeys((KEYS, MADE, FAILED, "known"), 0)

    def take(self, line: Line) -> str | None:
        """What is wrong with a line, if anything is."""
        steps: Mapping[str, Callable[[Order, Mapping[str, Any]], bool]] = {
            KEYS: self._certify,
            MADE: self._made,
            FAILED: self._failed,
        }
        try:
            order = self._order(line.values)
            outcome = str(line.values.get("outcome"))
            if outcome not in steps:
                return f"the outcome is one of {', '.join(steps)}"
            is_new = steps[outcome](order, line.values)
        except (CardServiceError, ValueError) as error:
            return str(error)
        self.counts[outcome if is_new else "known"] += 1
        return None

    def _order(self, values: Mapping[str, Any]) -> Order:
        order_id = _identifier(values, "order")
        if order_id not in self._batch.orders:
            raise NotOfForm("the order is not of this batch")
        if order_id in self._seen:
            raise NotOfForm("the order is on another line, too")
        self._seen.add(order_id)
        order = require_order(self._connection, order_id)
        if _identifier(values, "card") != order.card_id:
            raise NotOfForm("the order is for another card")
        return order

    def _certify(self, order: Order, values: Mapping[str, Any]) -> bool:
        wanted = {slot.value for slot in SLOTS_OF_KIND[order.kind]}
        requests = values.get("requests")
        if not isinstance(requests, dict) or set(requests) != wanted:
            raise NotOfForm(f"requests are those for {', '.join(sorted(wanted))}")
        if order.state is OrderState.DONE:
            return False
        before = standing_certificates(self._authority, order)
        for slot in SLOTS_OF_KIND[order.kind]:
            certify(
                self._connection,
                self._authority,
                order.id,
                from_base64(requests[slot.value]),
                slot,
                actor=self._actor,
                moment=self._moment,
            )
        return standing_certificates(self._authority, order) != before

    def _made(self, order: Order, values: Mapping[str, Any]) -> bool:
        if order.state is OrderState.DONE:
            return False
        told = values.get("certificates")
        standing = standing_certificates(self._authority, order)
        if not standing or told != {slot.value: sha256(der).hexdigest() for slot, der in standing.items()}:
            raise NotOfForm("these are not the certificates that the card was given")
        return self._report(order, done=True, uid=_uid(values))

    def _failed(self, order: Order, values: Mapping[str, Any]) -> bool:
        if not isinstance(values.get("spoiled"), bool):
            raise NotOfForm("say whether the blank is spoiled, true or false")
        return self._report(order, done=False, spoiled=values["spoiled"])

    def _report(self, order: Order, *, done: bool, uid: bytes | None = None, spoiled: bool = False) -> bool:
        report(
            self._connection,
            self._authority,
            order.id,
            done=done,
            uid=uid,
            actor=self._actor,
            moment=self._moment,
        )
        is_new = order.state in {OrderState.OPEN, OrderState.CERTIFIED}
        if is_new and self._whom.blanks is not None and (done or spoiled):
            by = By(self._actor, self._moment)
            take_blank(self._connection, self._whom.blanks, self._whom.id, by, spoiled=not done)
        return is_new


def _batch(connection: Connection, context: Context, whom: Bureau, head: Mapping[str, Any]) -> Batch:
    if head.get("scheme") != context.scheme.id:
        raise refused(1, f"it is of another scheme than {context.scheme.id}")
    try:
        batch = require_batch(connection, _identifier(head, "batch"))
    except (CardServiceError, ValueError) as error:
        raise refused(1, str(error)) from error
    if batch.bureau_id != whom.id:
        raise refused(1, "another bureau has this batch")
    return batch


def _identifier(values: Mapping[str, Any], name: str) -> UUID:
    try:
        return UUID(values[name])
    except (KeyError, ValueError, AttributeError, TypeError):
        raise NotOfForm(f"the {name} is no identifier") from None


def _uid(values: Mapping[str, Any]) -> bytes | None:
    uid = values.get("uid")
    if uid is None:
        return None
    if not isinstance(uid, str):
        raise NotOfForm("the uid is no text in hexadecimals")
    return bytes.fromhex(uid)
