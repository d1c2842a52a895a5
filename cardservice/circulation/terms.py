"""Which service lends, and by which terms: found by what it can do, and never by its name."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import Connection

from cardservice.circulation.errors import NoTerms
from cardservice.context import Context
from cardservice.services.lending import Lending
from cardservice.services.seam import Service
from cardservice.tariffs.service import tariff_in_force, tariff_of_version


def lending_service(services: Mapping[str, Service]) -> Lending:
    """The service that lends. Raises NoTerms where none does."""
    for service in services.values():
        # What most do not have is asked first: looking at all of the protocol takes long.
        if hasattr(service, "fines_key") and isinstance(service, Lending):
            return cast("Lending", service)
    raise NoTerms("no service here lends anything")


@dataclass(frozen=True, slots=True)
class TermsInForce:
    """The terms that hold at a moment; `tariff` is what the service prepared."""

    version: str
    tariff: object


def terms_at(context: Context, connection: Connection, moment: datetime) -> TermsInForce:
    """The terms that hold at a moment. Raises NoTerms."""
    service = lending_service(context.services)
    found = tariff_in_force(connection, service.name, moment)
    return terms_named(context, None if found is None else found.version)


def terms_named(context: Context, version: str | None) -> TermsInForce:
    """The terms of a version that was found in force. Raises NoTerms where none was."""
    service = lending_service(context.services)
    if version is None:
        raise NoTerms(f"no terms are in force; load them: cardservice load {service.name} TERMS.json")
    return TermsInForce(version, context.tariffs.named(service.name, version))


def terms_of(context: Context, connection: Connection, version: str) -> object:
    """The terms of a version. Raises NoTerms."""
    service = lending_service(context.services)
    found = tariff_of_version(connection, service.name, version)
    if found is None:
        raise NoTerms(f"the terms {version} are not stored")
    return context.tariffs.get(found)
