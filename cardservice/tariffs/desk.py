"""What staff do with tariffs, at the keyboard or over HTTP: load, compare, approve, withdraw, go back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from cardservice.config import TariffApproval
from cardservice.context import Context
from cardservice.errors import ApprovalRefused, DraftClosed, ServiceUnknown
from cardservice.ledger.statements import Period
from cardservice.services.seam import LoadedTariff, Service
from cardservice.tariffs import drafts
from cardservice.tariffs.drafts import Draft
from cardservice.tariffs.preview import Preview, preview
from cardservice.tariffs.repricing import Repriced, reprice


@dataclass(frozen=True, slots=True)
class Offered:
    """A draft, and what it would change; None of either: the same is stored already, or it is closed."""

    loaded: LoadedTariff
    draft: Draft | None
    changes: Preview | None


def service_of(context: Context, name: str) -> Service:
    """The service's rules. Raises ServiceUnknown."""
    rules = context.services.get(name)
    if rules is None:
        raise ServiceUnknown(name)
    return rules


def load(
    context: Context, service: str, files: Sequence[Path], *, actor: str, at_once: bool = False
) -> Offered:
    """Read a tariff and keep it as a draft; `at_once`: put it in force, too, where one person is enough.

    Raises ServiceUnknown, TariffError, TariffExists, and ApprovalRefused before anything is stored.
    """
    rules = service_of(context, service)
    if at_once and not may_alone(context):
        raise ApprovalRefused(actor)
    loaded = rules.load(files, currency=context.scheme.currency)
    source, moment = ", ".join(path.name for path in files), context.now()
    with context.database.begin() as connection:
        made = drafts.draft_tariff(connection, service, loaded, source=source, actor=actor, moment=moment)
        if made is None:
            return Offered(loaded, None, None)
        changes = preview(connection, rules, loaded, moment)
        if at_once:
            made = drafts.approve(connection, made.id, actor=actor, moment=moment, one_person=True)
    return Offered(loaded, made, changes)


def look(context: Context, draft_id: UUID) -> Offered:
    """A draft, and what it would change by now. Raises DraftUnknown and ServiceUnknown."""
    with context.database.reading() as connection:
        found = drafts.find_draft(connection, draft_id)
        changes = None
        if found.state == drafts.OPEN:
            changes = preview(connection, service_of(context, found.service), found.loaded, context.now())
    return Offered(found.loaded, found, changes)


def look_back(context: Context, draft_id: UUID, period: Period, at_most: int) -> Repriced:
    """What past days would have come to under a draft. Raises DraftUnknown, ServiceUnknown, DraftClosed."""
    with context.database.reading() as connection:
        found = drafts.find_draft(connection, draft_id)
        if found.state != drafts.OPEN:
            raise DraftClosed(found.id, found.state, found.closed_by or "")
        rules = service_of(context, found.service)
        return reprice(context, connection, rules, found.loaded, period, at_most)


def approve(context: Context, draft_id: UUID, *, actor: str) -> Draft:
    """Put a draft in force. Raises what `drafts.approve` does."""
    with context.database.begin() as connection:
        return drafts.approve(
            connection, draft_id, actor=actor, moment=context.now(), one_person=may_alone(context)
        )


def withdraw(context: Context, draft_id: UUID, because: str, *, actor: str) -> Draft:
    """Close a draft that shall not be. Raises DraftUnknown and DraftClosed."""
    with context.database.begin() as connection:
        return drafts.withdraw(connection, draft_id, because, actor=actor, moment=context.now())


def go_back(context: Context, service: str, version: str, since: datetime | None, *, actor: str) -> Offered:
    """Draft a stored version anew, from `since` or from now on. Raises ServiceUnknown and OrderInvalid."""
    rules, moment = service_of(context, service), context.now()
    with context.database.begin() as connection:
        made = drafts.draft_again(connection, service, version, since or moment, actor=actor, moment=moment)
        changes = preview(connection, rules, made.loaded, moment)
    return Offered(made.loaded, made, changes)


def may_alone(context: Context) -> bool:
    """Whether who has loaded a tariff may put it in force."""
    return context.settings.tariff_approval is TariffApproval.ONE_PERSON
