"""Why was I charged: a person's day, journey by journey, computed again by the rules that charged it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from sqlalchemy import Connection, select

from cardservice.context import Context
from cardservice.errors import Erased, ServiceUnknown
from cardservice.ids import CardholderId, PayerId
from cardservice.ledger.models import cardholder_key
from cardservice.ledger.payers import payers_of
from cardservice.ledger.rating_days import read_rated
from cardservice.ledger.ratings import Subject
from cardservice.ledger.reading import read_payers
from cardservice.rating.reading import Rider
from cardservice.rating.service import charges_of
from cardservice.services.rated import Rated
from cardservice.tariffs.service import tariff_in_force

_NOON = time(12)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldDay:
    """What one payer has been charged for the day, what it should be, and by which journeys."""

    payer_id: PayerId
    revision: int
    charged_minor: int
    should_be_minor: int
    journeys: tuple[Mapping[str, object], ...]

    @property
    def agrees(self) -> bool:
        """Whether what was charged is what the taps come to; not where a tap waits for the next round."""
        return self.charged_minor == self.should_be_minor


def tell_day(
    context: Context, connection: Connection, holder: CardholderId, name: str, day: date
) -> tuple[ToldDay, ...]:
    """The day of a person with a service, payer by payer; whoever asks records it in the audit log.

    Raises ServiceUnknown where there is no such service, or its taps are not rated, and Erased where the
    details of that time are gone.
    """
    service: object = context.services.get(name)
    if not isinstance(service, Rated):
        raise ServiceUnknown(name)
    noon = datetime.combine(day, _NOON, UTC)
    version = tariff_in_force(connection, name, noon)
    key_id = connection.scalar(select(cardholder_key.c.id).where(cardholder_key.c.cardholder_id == holder))
    if version is None or key_id is None:
        return ()
    spans = service.spans(noon, context.tariffs.get(version))
    span = next((each for each in spans if each.first_day <= day <= each.last_day), None)
    if span is None:
        return ()
    payers, found = payers_of(connection, holder), []
    riders = [Rider(payer_id, key_id) for payer_id in payers]
    told = charges_of(context, connection, name, service, riders, read_payers(connection, payers), span)
    for rider, charges in told.items():
        payer_id = rider.payer_id
        if charges is None:
            raise Erased(f"details of the taps around {day} were erased; what is left is what was charged")
        before = read_rated(connection, Subject(payer_id, key_id, name, day))
        charge = charges.get(day)
        if charge is not None or before.revision:
            found.append(
                ToldDay(
                    payer_id=payer_id,
                    revision=before.revision,
                    charged_minor=before.should_be_minor,
                    should_be_minor=sum(share.amount_minor for share in charge.shares) if charge else 0,
                    journeys=charge.told if charge else (),
                )
            )
    return tuple(found)
