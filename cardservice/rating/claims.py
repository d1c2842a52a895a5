"""What authorities owe for journeys that were free: counted from the taps, by the rules that made them free.

Nobody is named: a claim has counts by authority and provider, and what each journey is worth by the tariff
that it was made under.
"""

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from io import StringIO

from sqlalchemy import Connection

from cardservice.context import Context
from cardservice.errors import Erased, ServiceUnknown
from cardservice.ledger.reading import read_payers
from cardservice.money import format_minor
from cardservice.rating.reading import riders_between
from cardservice.rating.service import GROUP, charges_of
from cardservice.services.rated import Claimed, Reimbursement, Span
from cardservice.tariffs.service import TariffVersion, tariff_in_force

_NOON = time(12)
_DAY = timedelta(days=1)
COLUMNS = (
    *("authority", "provider", "tariff_version", "first_day", "last_day", "journeys"),
    *("average_fare", "factor", "additional_cost", "amount", "currency"),
)


@dataclass(frozen=True, slots=True)
class Claim:
    """What one authority owes one provider for journeys under one version of a tariff.

    `paid` is None where the tariff does not say what is paid for them.
    """

    authority: str
    provider: str
    tariff_version: str
    journeys: int
    paid: Reimbursement | None

    @property
    def amount_minor(self) -> int | None:
        """What is owed."""
        return None if self.paid is None else self.paid.of(self.journeys)


def claims_between(
    context: Context, connection: Connection, name: str, first: date, last: date
) -> tuple[Claim, ...]:
    """The claims for travel days from `first` to `last`, both included.

    Raises ServiceUnknown where the service has nothing to claim, and Erased where details of a tap are gone:
    a claim is made before they are.
    """
    service: object = context.services.get(name)
    if not isinstance(service, Claimed):
        raise ServiceUnknown(name)
    counts: Counter[tuple[str, str, str]] = Counter()
    for span in _spans(context, connection, name, service, first, last):
        for key, count in _counted(context, connection, name, service, span, first, last):
            counts[key] += count
    found = []
    for (authority, provider, version), count in sorted(counts.items()):
        tariff = context.tariffs.get(TariffVersion(name, version, datetime.combine(first, _NOON, UTC)))
        paid = service.reimbursement(tariff, authority, provider)
        found.append(Claim(authority, provider, version, count, paid))
    return tuple(found)


def _spans(
    context: Context, connection: Connection, name: str, service: Claimed, first: date, last: date
) -> Iterator[Span]:
    day = first
    while day <= last:
        noon = datetime.combine(day, _NOON, UTC)
        version = tariff_in_force(connection, name, noon)
        spans = () if version is None else service.spans(noon, context.tariffs.get(version))
        span = next((each for each in spans if each.first_day <= day <= each.last_day), None)
        if span is not None:
            yield span
        day = day + _DAY if span is None else span.last_day + _DAY


def _counted(
    context: Context,
    connection: Connection,
    name: str,
    service: Claimed,
    span: Span,
    first: date,
    last: date,
) -> Iterator[tuple[tuple[str, str, str], int]]:
    riders = riders_between(connection, name, service.tap_actions, span.begins, span.ends)
    for start in range(0, len(riders), GROUP):
        some = riders[start : start + GROUP]
        views = read_payers(connection, {rider.payer_id for rider in some})
        for charges in charges_of(context, connection, name, service, some, views, span).values():
            if charges is None:
                raise Erased(
                    f"details of taps around {span.first_day} were erased; claim within their retention"
                )
            for day, charge in charges.items():
                for free in charge.free_rides if first <= day <= last else ():
                    yield (free.authority, free.provider, free.tariff_version), free.count


def claim_file(claims: tuple[Claim, ...], first: date, last: date, currency: str) -> str:
    """The claims as CSV, with amounts as people write them; empty where the tariff does not say."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for claim in claims:
        writer.writerow(
            [
                *(_plain(claim.authority), _plain(claim.provider), claim.tariff_version),
                *(first.isoformat(), last.isoformat(), claim.journeys, *_paid(claim, currency), currency),
            ]
        )
    return out.getvalue()


def _paid(claim: Claim, currency: str) -> tuple[str, str, str, str]:
    if claim.paid is None or claim.amount_minor is None:
        return "", "", "", ""
    paid = claim.paid
    return (
        format_minor(paid.average_fare_minor, currency),
        str(paid.factor),
        format_minor(paid.additional_cost_minor, currency),
        format_minor(claim.amount_minor, currency),
    )


def _plain(name: str) -> str:
    """A name that no spreadsheet takes for a formula."""
    return f"'{name}" if name[:1] in "=+-@\t\r" else name
