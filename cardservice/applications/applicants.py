"""Somebody who applies and has no record yet; and who decides, by the settings of a scheme."""

from sqlalchemy import Connection

from cardservice.applications.eligibility import APPLICANT, Ages
from cardservice.applications.service import Deciding
from cardservice.cardholders.service import NewCardholder, add_cardholder
from cardservice.context import Context
from cardservice.ids import CardholderId


def by_settings(context: Context, actor: str) -> Deciding:
    """Who decides now, by the rules of this scheme."""
    settings = context.settings
    ages = Ages(settings.young_age, settings.adult_age)
    kek, moment = context.keys.cardholder_kek, context.now()
    return Deciding(kek, ages, actor, moment, context.zone, older_from=settings.older_from)


def add_applicant(connection: Connection, name: str, currency: str, by: Deciding) -> CardholderId:
    """Make the record of somebody who is to apply. Raises OrderInvalid."""
    new = NewCardholder(name, APPLICANT)
    holder, _ = add_cardholder(connection, new, currency, by.kek, actor=by.actor, moment=by.moment)
    return holder
