"""A verified statement as a case to judge, and the verdict on it: values alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from cardservice.authorisation.facts import Facts
from cardservice.authorisation.messages import CardMessage
from cardservice.authorisation.proofs import CheckedProof
from cardservice.ids import PayerId, TransactionId
from cardservice.ledger.resources import Claim
from cardservice.ledger.values import (
    CounterChange,
    CounterView,
    Decision,
    KnownTransaction,
    LimitView,
    NewTransfer,
    PayerView,
)
from cardservice.services.seam import APPROVED, Entitlement, Funding, Line, Service
from cardservice.terminals.service import Terminal


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What the last checks look at."""

    message: CardMessage
    terminal: Terminal
    facts: Facts
    proof: CheckedProof
    # Whether the nonce was given to this terminal in the last 120 s; an advice has none.
    nonce_is_fresh: bool
    service: Service
    # None: no tariff of this service applies.
    tariff: object | None
    currency: str
    # By whose clock its day begins; of one that is judged again, which day it was.
    timezone: str
    day_kept: str | None = None
    # What the holder must not eat, where the action's rules are to know.
    allergens: frozenset[str] = frozenset()
    # What is known of the request that this statement stands for; a terminal replaces its own alone.
    replaced: KnownTransaction | None = field(init=False, repr=False, compare=False)
    # Who it is posted under: with the request it stands for, else the holder's payer at its time.
    payer_id: PayerId = field(init=False, repr=False, compare=False)
    # The payer's state.
    view: PayerView = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        known = None if self.message.replaces is None else self.facts.known.get(self.message.replaces)
        replaced = known if known is not None and known.terminal_id == self.terminal.id else None
        payer_id = self.facts.payer_id if replaced is None else replaced.payer_id
        # Nearly every check asks for these.
        object.__setattr__(self, "replaced", replaced)
        object.__setattr__(self, "payer_id", payer_id)
        object.__setattr__(self, "view", self.facts.views[payer_id])

    @property
    def day(self) -> str:
        """The scheme's day on which it happened."""
        if self.day_kept is not None:
            return self.day_kept
        return self.message.time.astimezone(ZoneInfo(self.timezone)).date().isoformat()

    @property
    def entitlements(self) -> tuple[Entitlement, ...]:
        """What the holder is entitled to of this service's programmes."""
        return tuple(each for each in self.facts.card.entitlements if each.service == self.service.name)

    @property
    def switches(self) -> tuple[LimitView, ...]:
        """When the holder has switched the service off and on: theirs, whoever paid for them at the time."""
        holder, service = self.facts.card.cardholder_id, self.service.name
        return tuple(
            limit
            for view in self.facts.views.values()
            for limit in view.limits
            if (limit.cardholder_id, limit.rule) == (holder, service)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What becomes of a case: to be stored, and posted where there are transfers."""

    decision: Decision
    reason: str
    message: str
    amount_minor: int | None = None
    lines: tuple[Line, ...] = ()
    flags: tuple[str, ...] = ()
    transfers: tuple[NewTransfer, ...] = ()
    counters: tuple[CounterChange, ...] = ()
    duplicate_of: TransactionId | None = None
    # What it takes of what there is only so much of: held before it is posted.
    claims: tuple[Claim, ...] = ()
    # What is said where there is too little of that.
    if_taken: str = ""
    # What programmes pay of it; the transfers and the counters have it already.
    funding: tuple[Funding, ...] = ()
    # What goes back to the payer of holds before anything is paid.
    released_minor: int = 0
    # With the stored tariff, enough to explain the verdict and to reach it again.
    inputs: Mapping[str, object] = field(default_factory=dict)
    # The payer's counters that the rules have looked at.
    looked_at: tuple[CounterView, ...] = ()
    # The day that limits were compared on, where there were any that no service sees to.
    day: str | None = None

    @property
    def is_approved(self) -> bool:
        """Whether the goods are the holder's."""
        return self.decision == APPROVED
