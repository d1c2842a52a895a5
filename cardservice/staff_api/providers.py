"""The routes of providers: what each sells, which keys its terminals may have, its statements and sales."""

from typing import Any

from marshmallow import fields
from marshmallow.validate import Length, OneOf, Range, Regexp

from cardservice.api.blueprints import Blueprint
from cardservice.api.current import actor, context
from cardservice.api.fields import Identifier, Message, Moment, text
from cardservice.audit.service import record
from cardservice.errors import ProviderUnknown, ServiceUnknown
from cardservice.ids import ProviderId
from cardservice.ledger.statements import Period
from cardservice.providers.card_keys import grant_key, withdraw_key
from cardservice.providers.pseudonyms import pseudonyms_for
from cardservice.providers.sales import Place, Sold, sales_of
from cardservice.providers.selling import begin_selling, end_selling, read_sellers
from cardservice.providers.service import require_provider
from cardservice.providers.statements import ProviderLine, ProviderStatement, provider_statement
from cardservice.staff.roles import Right
from cardservice.staff_api.access import me, staff_alone
from cardservice.staff_api.sharing import Day, DaysSchema, StaffPageSchema, days_of, next_field
from pki.card_keys import Application, TerminalMaster, TerminalRole

blueprint = Blueprint(
    "staff-providers", "cardservice.staff_api.providers", description="Providers, for staff."
)
ONE = "/v1/providers/<provider_id>"
_KEYS = [role.value for role in TerminalRole]


class SellingSchema(Message):
    """A service, and whether a provider sells it from now on."""

    service = text(required=True)
    sells = fields.Boolean(required=True)


class SoldServiceSchema(Message):
    """A service that a provider sells or has sold; `until` is null until further notice."""

    service = fields.String(required=True)
    since = Moment(required=True)
    until = Moment(required=True, allow_none=True)


class SoldServicesSchema(Message):
    """What a provider is named for; a service of which nobody is named every provider may sell."""

    services = fields.List(fields.Nested(SoldServiceSchema), required=True)


class GrantSchema(Message):
    """A key of an application on cards, and whether a provider's terminals may have it from now on."""

    application = fields.String(
        required=True,
        validate=[Length(6, 6), Regexp(r"[0-9A-F]{6}\Z")],
        metadata={"description": "such as F5C011"},
    )
    key = fields.Integer(
        required=True, strict=True, validate=OneOf(_KEYS), metadata={"description": "1: read, 2: debit"}
    )
    version = fields.Integer(load_default=0, strict=True, validate=Range(0, 255))
    granted = fields.Boolean(required=True)


class ProviderLineSchema(Message):
    """What was sold and given back of one action of a service at one tax code, on one day."""

    settled_on = Day(required=True, allow_none=True)
    service = fields.String(required=True)
    action = fields.String(required=True)
    tax_code = fields.String(required=True)
    transactions = fields.Integer(required=True)
    charged_minor = fields.Integer(required=True)
    given_back_minor = fields.Integer(required=True)
    tax_minor = fields.Integer(required=True)
    owed_minor = fields.Integer(required=True)


class ProviderStatementSchema(Message):
    """What a provider is owed; `does_not_add_up_on` names days that differ from the ledger's own sum."""

    provider = fields.String(required=True)
    first = Day(required=True)
    last = Day(required=True)
    currency = fields.String(required=True)
    opening_minor = fields.Integer(required=True)
    lines = fields.List(fields.Nested(ProviderLineSchema), required=True)
    closing_minor = fields.Integer(required=True)
    not_settled_yet = fields.List(fields.Nested(ProviderLineSchema), required=True)
    does_not_add_up_on = fields.List(Day(), required=True)


class SalesPageSchema(StaffPageSchema, DaysSchema):
    """Which sales, and which page of them."""


class SaleSchema(Message):
    """A sale; `customer` is a pseudonym that is this provider's alone."""

    settled_on = Day(required=True)
    transaction = Identifier(required=True)
    service = fields.String(required=True)
    action = fields.String(required=True)
    amount_minor = fields.Integer(required=True)
    given_back_minor = fields.Integer(required=True)
    currency = fields.String(required=True)
    customer = fields.String(required=True, allow_none=True)


class SalesSchema(Message):
    """A page of sales, in the ledger's order."""

    sales = fields.List(fields.Nested(SaleSchema), required=True)
    next = next_field()


@blueprint.route(f"{ONE}/services")
@blueprint.response(200, SoldServicesSchema)
@blueprint.problems(401, 403, 404)
@staff_alone
def get_services(provider_id: str) -> dict[str, Any]:
    """What a provider sells, and has sold."""
    _require_theirs(provider_id)
    return _services(provider_id)


@blueprint.route(f"{ONE}/services", methods=["POST"])
@blueprint.arguments(SellingSchema)
@blueprint.response(200, SoldServicesSchema)
@blueprint.problems(400, 401, 403, 404, 422)
@staff_alone
def post_service(body: dict[str, Any], provider_id: str) -> dict[str, Any]:
    """Let a provider sell a service, or no longer; then no other may that is not named for it, too."""
    if body["service"] not in context().services:
        raise ServiceUnknown(body["service"])
    change = begin_selling if body["sells"] else end_selling
    with context().database.begin() as connection:
        require_provider(connection, ProviderId(provider_id))
        named: dict[str, Any] = {"actor": actor(), "moment": context().now()}
        change(connection, ProviderId(provider_id), body["service"], **named)
    return _services(provider_id)


@blueprint.route(f"{ONE}/card-keys", methods=["POST"])
@blueprint.arguments(GrantSchema)
@blueprint.response(200, GrantSchema)
@blueprint.problems(400, 401, 403, 404, 422)
@staff_alone
def post_card_key(body: dict[str, Any], provider_id: str) -> dict[str, Any]:
    """Let a provider's terminals have a key of an application, or no longer; keys 1 and 2 alone."""
    application = Application(int(body["application"], 16))
    master = TerminalMaster(application, TerminalRole(body["key"]), body["version"])
    named: dict[str, Any] = {"actor": actor(), "moment": context().now()}
    with context().database.begin() as connection:
        provider = ProviderId(provider_id)
        require_provider(connection, provider)
        if body["granted"]:
            grant_key(connection, context().keys.terminal_masters, provider, master, **named)
        else:
            withdraw_key(connection, provider, master, **named)
    return body


@blueprint.route(f"{ONE}/statement")
@blueprint.arguments(DaysSchema, location="query")
@blueprint.response(200, ProviderStatementSchema)
@blueprint.problems(400, 401, 403, 404, 422)
@staff_alone
def get_statement(asked: dict[str, Any], provider_id: str) -> dict[str, Any]:
    """What a provider is owed, by day of settlement and service. Nobody is named; that you asked is noted."""
    period = _noted("provider.statement", provider_id, asked)
    with context().database.reading() as connection:
        currency = context().scheme.currency
        found = provider_statement(connection, ProviderId(provider_id), period, currency)
    if found is None:
        raise ProviderUnknown(provider_id)
    return _statement(found)


@blueprint.route(f"{ONE}/sales")
@blueprint.arguments(SalesPageSchema, location="query")
@blueprint.response(200, SalesSchema)
@blueprint.problems(400, 401, 403, 404, 422)
@staff_alone
def get_sales(asked: dict[str, Any], provider_id: str) -> dict[str, Any]:
    """What a provider sold, one by one, to customers under a pseudonym; that you asked is noted."""
    limit, after = asked["limit"], asked["after"]
    place = None if after is None else Place.parse(after)
    period = _noted("provider.sales", provider_id, asked)
    pseudonym = pseudonyms_for(context().keys.services_master, ProviderId(provider_id))
    with context().database.reading() as connection:
        page: dict[str, Any] = {"after": place, "limit": limit + 1}
        found = list(sales_of(connection, ProviderId(provider_id), period, pseudonym, **page))
    shown = found[:limit]
    return {
        "sales": [_sale(each) for each in shown],
        "next": str(shown[-1].place) if len(found) > limit else None,
    }


def _require_theirs(provider_id: str) -> None:
    """Raises NotTheirs, of whatever provider is not their own; and ProviderUnknown."""
    me().require_provider(Right.SEE_PROVIDERS, provider_id)
    with context().database.reading() as connection:
        require_provider(connection, ProviderId(provider_id))


def _noted(what: str, provider_id: str, asked: dict[str, Any]) -> Period:
    """The days that are asked for; that they are, is noted first, and for good."""
    period = days_of(asked)
    _require_theirs(provider_id)
    words = f"{period.first} to {period.last}"
    with context().database.begin() as connection:
        record(connection, actor(), what, provider_id, context().now(), days=words)
    return period


def _services(provider_id: str) -> dict[str, Any]:
    with context().database.reading() as connection:
        sellers = read_sellers(connection)
    return {
        "services": [
            {"service": each.service, "since": each.valid_from, "until": each.valid_until}
            for each in sellers
            if each.provider_id == provider_id
        ]
    }


def _statement(found: ProviderStatement) -> dict[str, Any]:
    return {
        "provider": found.provider_id,
        "first": found.period.first,
        "last": found.period.last,
        "currency": found.unit,
        "opening_minor": found.opening_minor,
        "lines": [_line(each) for each in found.lines],
        "closing_minor": found.closing_minor,
        "not_settled_yet": [_line(each) for each in found.unsettled],
        "does_not_add_up_on": list(found.off),
    }


def _line(each: ProviderLine) -> dict[str, Any]:
    return {
        "settled_on": each.settled_on,
        "service": each.service,
        "action": each.action,
        "tax_code": each.tax_code,
        "transactions": each.transactions,
        "charged_minor": each.charged_minor,
        "given_back_minor": each.given_back_minor,
        "tax_minor": each.tax_minor,
        "owed_minor": each.owed_minor,
    }


def _sale(each: Sold) -> dict[str, Any]:
    return {
        "settled_on": each.settled_on,
        "transaction": each.transaction,
        "service": each.service,
        "action": each.action,
        "amount_minor": each.amount_minor,
        "given_back_minor": each.given_back_minor,
        "currency": each.unit,
        "customer": each.customer,
    }
