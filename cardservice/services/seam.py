"""What the ledger service and a service's rules say to each other: values in, a decision out.

A service is one folder beside this module (`cardservice.services.discover` finds it). Its rules are pure:
they see what stands here and their own tariff, and never a database, a clock or a web request. The moment
that counts is `Ask.occurred_at`.

Money is in integer minor units; a line's amount is what the payer owes, so it is positive for a sale.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable
from uuid import UUID

from marshmallow import Schema

from cardservice.errors import CardServiceError

APPROVED = "approved"


class AskKind(StrEnum):
    """Whether the goods are still to be given, or gone already (ISO 8583's request and advice)."""

    REQUEST = "request"
    ADVICE = "advice"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a terminal asks for; of a quote the amount and the tariff's version are still open.

    `details` has been loaded by the action's own schema. `occurred_at` is aware: the statement's signed
    time, or the moment of the quote.
    """

    service: str
    action: str
    kind: AskKind
    currency: str
    details: Mapping[str, object]
    occurred_at: datetime
    offline: bool = False
    amount_minor: int | None = None
    tariff_version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entitlement:
    """That a check has found somebody entitled to a funding programme, from a day on, up to its review."""

    service: str
    programme: str
    # The school year as it was then, where the programme goes by it; else "".
    year: str
    first_day: date
    # The first day on which it does not hold any more, unless it has been checked again.
    review_on: date
    recorded_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """What rules may know of the person: no name and no date of birth.

    `entitlements` are those to programmes of the service that decides, in the order of their recording;
    `allergens` what they must not eat, for actions that say so. A quote is told of neither.
    """

    cardholder_id: UUID
    card_kind: str
    category: str
    allergens: frozenset[str] = frozenset()
    entitlements: tuple[Entitlement, ...] = ()


class Account(Protocol):
    """One of the payer's accounts, as of the version that the decision is posted against."""

    @property
    def kind(self) -> str: ...
    @property
    def unit(self) -> str: ...
    @property
    def balance(self) -> int: ...
    @property
    def floor(self) -> int | None: ...


class Counter(Protocol):
    """How much one of the payer's cardholders has used under a rule in a period."""

    @property
    def cardholder_id(self) -> UUID: ...
    @property
    def rule(self) -> str: ...
    @property
    def period(self) -> str: ...
    @property
    def used(self) -> int: ...


class Limit(Protocol):
    """A limit of the payer's under a rule; without a cardholder, for all of the payer's together."""

    @property
    def cardholder_id(self) -> UUID | None: ...
    @property
    def rule(self) -> str: ...
    @property
    def amount_minor(self) -> int: ...
    @property
    def valid_from(self) -> datetime: ...
    @property
    def recorded_at(self) -> datetime: ...


class View(Protocol):
    """The payer's state, as much of it as rules may look at. Floors are the ledger's check, after theirs."""

    @property
    def version(self) -> int: ...
    @property
    def accounts(self) -> Sequence[Account]: ...
    @property
    def counters(self) -> Sequence[Counter]: ...
    @property
    def limits(self) -> Sequence[Limit]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a receipt; `product` is the service's own identifier of what was sold.

    What may end in arrears is given even where the payer's money does not reach; it is paid first. What is
    `held` is owed to nobody: it is set aside under the decision's `hold`. `tax_rate_bp`, in hundredths of a
    per cent, is of the tax that the amount includes; None: of none.
    """

    label: str
    amount_minor: int
    product: str | None = None
    tax_code: str | None = None
    may_end_in_arrears: bool = False
    tax_rate_bp: int | None = None
    held: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterUse:
    """What a sale uses of a rule's allowance in a period; it is counted for the holder of the card."""

    rule: str
    period: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Funding:
    """What a programme pays of a sale, before the payer does; it is counted for the holder under `rule`.

    A posting of its own against the funder's account. Nobody but the holder and the scheme is told of it.
    """

    programme: str
    funder: str
    rule: str
    period: str
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceUse:
    """What a sale takes of something that there is only so much of, by the service's own key.

    A copy of a book, a session's places, a permit's quota. It is held before the decision is posted. Where
    too little is left, a request is declined with `resource_taken`; an advice is posted with that as a flag.
    With a `capacity` it is made when it is first wanted: nobody can set up beforehand every vehicle and day.
    """

    key: str
    quantity: int = 1
    capacity: int | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """Under which key of the service's own money is set aside, and when it goes back by itself."""

    key: str
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A price, and until when the terminal may have a card sign it."""

    amount_minor: int
    currency: str
    tariff_version: str
    valid_until: datetime
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """No price; `reason` is a stable code of the service, `data` what a program may want to know of it."""

    reason: str
    message: str
    data: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What becomes of an ask: stored as it is, and posted if approved.

    The lines add up to `amount_minor` and are owed to the terminal's provider. What `counters` say is counted
    if the decision is posted, and taken back if that is annulled; what an approved one takes of `resources`
    is free again then. `inputs` is JSON and explains the decision beside the details; both may tell where a
    person was, so they are stored and erased together. `if_taken` is what a request is told where too little
    of a resource is left. What `funding` pays, in its order, is at most the amount; the payer owes the rest.
    `releases` are the keys of holds that go back to the payer first.
    """

    approved: bool
    reason: str
    message: str
    amount_minor: int = 0
    lines: tuple[Line, ...] = ()
    flags: tuple[str, ...] = ()
    counters: tuple[CounterUse, ...] = ()
    resources: tuple[ResourceUse, ...] = ()
    funding: tuple[Funding, ...] = ()
    if_taken: str = "There is none left."
    hold: Hold | None = None
    releases: tuple[str, ...] = ()
    inputs: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """An action of a service: which roles of terminal may ask for it, and what its details look like.

    `retention_days` is how long details of its class are kept where the scheme sets nothing else. Without
    `shows_balances` the terminal is not told what is left on the accounts: where programmes fund some of the
    holders, what a sale takes of their own money would tell who they are. `sees_allergens`: its rules are
    told what the holder must not eat.
    """

    name: str
    roles: frozenset[str]
    details_schema: type[Schema]
    retention_class: str
    retention_days: int
    shows_balances: bool = True
    sees_allergens: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedTariff:
    """A tariff read from files: `content` is JSON and is what is stored and prepared again.

    `version` follows from the content alone, so that the same files are the same version everywhere.
    `report` is for the person who loads it, a sentence a line, files that were passed over included.
    `capacities` says how much there is of the resources that it names, by their keys, from its loading on.
    """

    version: str
    valid_from: datetime
    content: Mapping[str, object]
    report: tuple[str, ...]
    capacities: Mapping[str, int] = field(default_factory=dict)


class Service(Protocol):
    """One service's rules. `tariff` is what `prepare` made of a stored tariff's content."""

    @property
    def name(self) -> str: ...

    @property
    def actions(self) -> Mapping[str, Action]: ...

    @property
    def limits(self) -> Mapping[str, str]:
        """The rules that a payer can set a limit for, `<service>.<rule>`, each with what it limits.

        One that ends in `*` stands for all that begin like it: a limit is set for one of them.
        """
        ...

    def details_schema(self, action: str) -> type[Schema]:
        """The schema of the action's details; KeyError where the service has no such action."""
        ...

    def load(self, files: Sequence[Path], *, currency: str) -> LoadedTariff:
        """Read a tariff from the files an administrator names; raises TariffError and nothing else.

        Which file is which the service tells by itself, so a caller passes on all it was given.
        """
        ...

    def prepare(self, content: Mapping[str, object]) -> object:
        """The compiled tariff of a stored content; immutable, so that it can be kept and shared."""
        ...

    def quote(self, ask: Ask, holder: Holder | None, tariff: object) -> Quote | Refusal:
        """The price of what is asked for; without a holder, for a card that nothing is known of."""
        ...

    def decide(self, ask: Ask, holder: Holder, view: View, tariff: object) -> Decision:
        """Whether it is approved and what to post.

        A request is judged by the tariff in force at `ask.occurred_at`. An advice is judged by the version
        it names, if that is known, and is always approved as signed: what it breaks is a flag. Where there is
        nothing to post (no amount, or one in another currency than the tariff's), it is approved at 0.
        """
        ...


@runtime_checkable
class Keyed(Protocol):
    """A service that counts or holds by something that could be guessed, such as a number plate.

    Its rules stay pure: the key is part of them, as a tariff is, and the same for the scheme's whole life.
    """

    def keyed(self, key: bytes) -> Service:
        """The service with its own key, 32 bytes; it decides nothing without one."""
        ...


@runtime_checkable
class Passing(Protocol):
    """A service of which counters or resources are about times that pass; retention takes them away then.

    They go when the days of `retention_class` have gone by since their end.
    """

    @property
    def retention_class(self) -> str: ...

    def counter_is_over(self, rule: str, period: str, moment: datetime) -> bool:
        """Whether what a counter of its is about has ended by a moment."""
        ...

    def resource_is_over(self, key: str, moment: datetime) -> bool:
        """Whether what a resource of its stands for has ended by a moment."""
        ...


@runtime_checkable
class Counted(Protocol):
    """A service of which some limits are numbers of pieces and not money."""

    @property
    def counted_limits(self) -> frozenset[str]:
        """Which of its `limits`."""
        ...


@runtime_checkable
class Returning(Protocol):
    """A service of which a terminal may give a sale back for a while alone; staff may later."""

    def refusal_to_return(self, tariff: object, sold_at: datetime, moment: datetime) -> Refusal | None:
        """Why a sale is not given back any more; None while it is. `tariff` was in force at the sale."""
        ...


class TariffError(CardServiceError):
    """A tariff's file is refused; `file` is its name, `line` counts from 1 where a line is at fault."""

    code: ClassVar[str] = "tariff_invalid"

    def __init__(self, file: str, line: int | None, reason: str) -> None:
        where = file if line is None else f"{file}:{line}"
        super().__init__(f"{where}: {reason}")
        self.file, self.line, self.reason = file, line, reason
