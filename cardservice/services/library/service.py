"""The service as the seams want it: its actions, its terms, and who may borrow."""

import hmac
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from types import MappingProxyType
from uuid import UUID

from marshmallow import Schema

from cardservice.services.lending import Borrower, CopyView, Late, Lent, LoanView, TitleView
from cardservice.services.library import lending, rules
from cardservice.services.library.loading import load_terms
from cardservice.services.library.price_list import price_list
from cardservice.services.library.schemas import FineDetails, SessionDetails
from cardservice.services.library.terms import Terms, prepare
from cardservice.services.price_lists import Listed
from cardservice.services.seam import (
    Action,
    Ask,
    Decision,
    Holder,
    LoadedTariff,
    Quote,
    Refusal,
    TariffError,
    View,
)

_ROLES = frozenset({"till", "library-desk"})
_DAYS = 56  # ours, eight weeks: where somebody was


def _action(name: str, schema: type[Schema], retention_class: str, days: int) -> Action:
    return Action(
        name=name,
        roles=_ROLES,
        details_schema=schema,
        retention_class=retention_class,
        retention_days=days,
    )


class Library:
    """The library, from a file of terms; it decides when it has its key."""

    name = "library"
    retention_class = "pc-sessions"
    actions: Mapping[str, Action] = MappingProxyType(
        {
            # Thirteen months: as long as a payment may be disputed (Directive (EU) 2015/2366, article 71).
            rules.PAY_FINE: _action(rules.PAY_FINE, FineDetails, "fines", 396),
            rules.PC_SESSION: _action(rules.PC_SESSION, SessionDetails, "pc-sessions", _DAYS),
        }
    )
    limits: Mapping[str, str] = MappingProxyType({})

    def __init__(self, key: bytes | None = None) -> None:
        self._key = key

    def keyed(self, key: bytes) -> "Library":
        """The same, with the key under which people's fines are kept."""
        return Library(key)

    def fines_key(self, cardholder: UUID) -> str:
        """What a person's fines are kept under."""
        if self._key is None:
            raise RuntimeError("the service has no key yet: use services.with_keys")
        return "fines/" + hmac.digest(self._key, b"fines" + cardholder.bytes, "sha256").hex()[:32]

    def counter_is_over(self, rule: str, period: str, moment: datetime) -> bool:
        """Whether the day of a computer's minutes has ended by then, wherever on earth."""
        return rule == rules.PC_MINUTES and (moment.date() - date.fromisoformat(period)).days > 1

    def resource_is_over(self, key: str, moment: datetime) -> bool:
        """Fines stay until they are paid, and what was paid of them, too."""
        del key, moment
        return False

    def details_schema(self, action: str) -> type[Schema]:
        """The schema of the action's details; KeyError where there is no such action."""
        return self.actions[action].details_schema

    def load(self, files: Sequence[Path], *, currency: str) -> LoadedTariff:
        """Read terms (one .json file); raises TariffError."""
        if len(files) != 1:
            raise TariffError("terms", None, "name one file of terms, LIBRARY.json")
        return load_terms(files[0], currency)

    def prepare(self, content: Mapping[str, object]) -> Terms:
        """The terms of a stored content."""
        return prepare(content)

    def quote(self, ask: Ask, holder: Holder | None, tariff: object) -> Quote | Refusal:
        """The price of what is asked for."""
        del holder  # all pay the same
        return rules.quote(ask, _terms(tariff))

    def decide(self, ask: Ask, holder: Holder, view: View, tariff: object) -> Decision:
        """Whether it is approved, and what it costs, counts and takes."""
        return rules.decide(ask, holder, view, _terms(tariff), self.fines_key(holder.cardholder_id))

    def price_list(self, tariff: object) -> tuple[Listed, ...]:
        """All that the terms say, for people who compare two."""
        return price_list(_terms(tariff))

    def member_class(self, category: str, tariff: object) -> str | None:
        """The class of member that a category is in."""
        found = _terms(tariff).members.get(category)
        return None if found is None else found.key

    def item_classes(self, tariff: object) -> Mapping[str, str]:
        """The classes of things."""
        return _terms(tariff).items

    def local_day(self, moment: datetime, tariff: object) -> date:
        """The day by the clock there."""
        return _terms(tariff).day_of(moment)

    def block(self, borrower: Borrower, tariff: object) -> Refusal | None:
        """What keeps somebody from borrowing anything."""
        return lending.block(borrower, _terms(tariff))

    def lend(
        self, borrower: Borrower, copy: CopyView, moment: datetime, tariff: object, *, done: bool = False
    ) -> Lent | Refusal:
        """Until when; or why not."""
        return lending.lend(borrower, copy, moment, _terms(tariff), done=done)

    def renew(
        self, borrower: Borrower, loan: LoanView, wanted: int, moment: datetime, tariff: object
    ) -> Lent | Refusal:
        """Until when it is lent on; or why not."""
        return lending.renew(borrower, loan, wanted, moment, _terms(tariff))

    def late(self, category: str, loan: LoanView, moment: datetime, lent_under: object) -> Late:
        """What bringing it back costs."""
        return lending.late(category, loan, moment, _terms(lent_under))

    def reserve(
        self, borrower: Borrower, title: TitleView, moment: datetime, tariff: object
    ) -> Refusal | None:
        """Why somebody may not queue for a title."""
        return lending.reserve(borrower, title, moment, _terms(tariff))

    def kept_until(self, moment: datetime, tariff: object) -> date:
        """The last day on which a copy is kept."""
        return lending.kept_until(moment, _terms(tariff))


def _terms(tariff: object) -> Terms:
    if not isinstance(tariff, Terms):
        raise TypeError(f"not prepared terms of lending: {type(tariff).__name__}")
    return tariff
