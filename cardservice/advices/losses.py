"""Who bears what was given away offline and may not come in: a report, for nothing of it is a transfer yet.

Within the limits that the terminal had the scheme bears it, beyond them the provider (docs/adr/0057).
"""

from collections import defaultdict
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, func, select

from cardservice.authorisation.reasons import Flag
from cardservice.ids import ProviderId
from cardservice.ledger.models import ledger_transaction, transfer
from cardservice.ledger.values import PAYER_ARREARS

Bearer = Literal["scheme", "provider"]
# What speaks for it that a holder need not pay; the flag over_floor alone: what is owed, no more.
_DISPUTABLE = frozenset(
    {
        Flag.CARD_WAS_REVOKED,
        Flag.CARD_WAS_EXPIRED,
        Flag.CARD_WAS_SUSPENDED,
        Flag.CARD_WAS_NOT_ACTIVE,
        Flag.CLOCK_DOUBTFUL,
    }
)


@dataclass(frozen=True, slots=True)
class Loss:
    """What a provider's terminals gave away that may not come in, in minor units."""

    provider_id: ProviderId
    bearer: Bearer
    advices: int
    # The most that can be lost: all of what its holder may dispute, else what ended in arrears.
    amount_minor: int
    owed_minor: int


def losses(connection: Connection) -> list[Loss]:
    """By provider and bearer. Reads every advice with a flag; what was annulled since is none."""
    found: defaultdict[tuple[ProviderId, Bearer], list[tuple[int, int]]] = defaultdict(list)
    for provider, flags, charged_minor, owed_minor in _flagged(connection):
        at_risk = charged_minor if _DISPUTABLE.intersection(flags) else owed_minor
        bearer: Bearer = "provider" if Flag.OUTSIDE_OFFLINE_LIMITS in flags else "scheme"
        if at_risk:
            found[provider, bearer].append((at_risk, owed_minor))
    return [
        Loss(
            provider, bearer, len(amounts), sum(risk for risk, _ in amounts), sum(owed for _, owed in amounts)
        )
        for (provider, bearer), amounts in sorted(found.items())
    ]


def _flagged(connection: Connection) -> list[tuple[ProviderId, list[str], int, int]]:
    """Each approved advice with a flag: provider, flags, what of it stands, what ended in arrears."""
    stored, moved, reversal = ledger_transaction.c, transfer.c, transfer.alias()
    undone = (
        select(func.coalesce(func.sum(reversal.c.amount_minor), 0))
        .where(
            reversal.c.payer_id == moved.payer_id,
            reversal.c.reverses_transaction == moved.transaction_id,
            reversal.c.reverses_line == moved.line,
        )
        .scalar_subquery()
    )
    rows = connection.execute(
        select(stored.id, stored.provider_id, stored.flags, moved.debit, moved.amount_minor - undone)
        .join(transfer, (moved.payer_id == stored.payer_id) & (moved.transaction_id == stored.id))
        .where(stored.kind == "advice", stored.decision == "approved")
        .order_by(stored.payer_id, stored.id)
    )
    found: dict[object, tuple[ProviderId, list[str], int, int]] = {}
    for id_, provider, flags, debit, left in rows:
        if flags:
            _, _, charged, owed = found.get(id_, (provider, flags, 0, 0))
            owed += int(left) if debit == PAYER_ARREARS else 0
            found[id_] = (ProviderId(provider), flags, charged + int(left), owed)
    return list(found.values())
