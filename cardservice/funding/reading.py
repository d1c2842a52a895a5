"""What is on record of persons' entitlements, as rules see it."""

from collections import defaultdict
from collections.abc import Collection
from uuid import UUID

from sqlalchemy import Connection, select

from cardservice.funding.models import entitlement
from cardservice.services.seam import Entitlement


def entitlements_of(connection: Connection, holders: Collection[UUID]) -> dict[UUID, tuple[Entitlement, ...]]:
    """Those of these persons to programmes of any service, in the order in which they were recorded."""
    own = entitlement.c
    found: defaultdict[UUID, list[Entitlement]] = defaultdict(list)
    rows = connection.execute(
        select(entitlement)
        .where(own.cardholder_id.in_(holders))
        .order_by(own.cardholder_id, own.recorded_at, own.id)
    )
    for row in rows:
        found[row.cardholder_id].append(
            Entitlement(
                service=row.service,
                programme=row.programme,
                year=row.year,
                first_day=row.first_day,
                review_on=row.review_on,
                recorded_at=row.recorded_at,
            )
        )
    return {holder: tuple(entitlements) for holder, entitlements in found.items()}
