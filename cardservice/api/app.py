"""The Flask application, made for one context."""

from flask import Flask, Response, request

from cardservice.advices import views as advices
from cardservice.advices.wire import MAX_CHUNK_BYTES
from cardservice.advices.workers import Here, Ingest
from cardservice.api import current, fields, gate, openapi, problems, request_log
from cardservice.api.blueprints import Api
from cardservice.api.public import blueprint as public
from cardservice.authorisation.views import BULK_PATH
from cardservice.authorisation.views import blueprint as authorisation
from cardservice.cards import loss_views as losses
from cardservice.cards import map_views as card_maps
from cardservice.cards.maps import CardMaps
from cardservice.cards.views import blueprint as personalisation
from cardservice.context import Context
from cardservice.payments.paying_views import blueprint as payments
from cardservice.payments.views import blueprint as notifications
from cardservice.pki_store.desk import open_desk
from cardservice.presentations.views import blueprint as presentations
from cardservice.providers.views import blueprint as card_keys
from cardservice.recovery.views import MESSAGES_PATH
from cardservice.recovery.views import blueprint as recovery
from cardservice.staff_api.blueprints import LARGER, STAFF_BLUEPRINTS
from cardservice.staff_api.sharing import Day
from cardservice.tariffs import views as tariffs
from cardservice.terminals.enrolment_views import blueprint as enrolment
from cardservice.terminals.views import blueprint as health
from pki.http import blueprint as pki

# A statement is under a kilobyte, its details a few: more is no message of ours.
MAX_BODY_BYTES = 64 * 1024
# Of several messages together (BulkRequestSchema), each of the same size.
MAX_BULK_BYTES = 512 * 1024
# The files of a tariff, in base64url.
MAX_TARIFF_BYTES = 9 * 1024 * 1024
PKI_PREFIX = "/pki"


def create_app(context: Context, ingest: Ingest | None = None) -> Flask:
    """The application over an open context, which the caller closes; `ingest`: who works through chunks."""
    app = Flask("cardservice", static_folder=None)
    app.config.update(
        MAX_CONTENT_LENGTH=MAX_BODY_BYTES,
        API_TITLE="Citizen card service",
        API_VERSION="v1",
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX="/",
        OPENAPI_JSON_PATH="openapi.json",
        API_SPEC_OPTIONS={
            "info": {"description": "The terminals' interface. See docs/api.md for how requests are signed."},
            "servers": [{"url": context.settings.public_origin}],
        },
    )
    current.install(app, context)
    advices.install(app, ingest or Here(context))
    # The log first: its line is written after all else, whatever came of the request.
    request_log.register(app)
    problems.register(app)
    gate.install(app, context)
    app.before_request(_allow_more)
    app.after_request(_keep_nothing)
    api = Api(app)
    api.register_field(fields.Bytes, "string", "base64url")
    api.register_field(fields.Identifier, "string", "uuid")
    api.register_field(fields.Moment, "string", "date-time")
    api.register_field(Day, "string", "date")
    api.describe()
    for blueprint in (
        authorisation,
        advices.blueprint,
        presentations,
        personalisation,
        card_maps.blueprint,
        losses.blueprint,
        card_keys,
        health,
        enrolment,
        tariffs.blueprint,
        notifications,
        payments,
        recovery,
        public,
        *STAFF_BLUEPRINTS,
    ):
        api.register_blueprint(blueprint)
    published = open_desk(context)
    current.install_desk(app, published.desk)
    card_maps.install(app, CardMaps(context, published.desk))
    app.register_blueprint(pki(lambda: published), url_prefix=PKI_PREFIX)
    openapi.describe_pki(api.spec, app.url_map.iter_rules(), PKI_PREFIX)
    return app


def _keep_nothing(response: Response) -> Response:
    """What a terminal is told is for that terminal: nobody on the way keeps it. RFC 9111, 5.2.2.5."""
    if request.path.startswith("/v1/") and "Cache-Control" not in response.headers:
        response.cache_control.no_store = True
    return response


def _allow_more() -> None:
    if request.path in {BULK_PATH, MESSAGES_PATH}:
        request.max_content_length = MAX_BULK_BYTES
    elif request.path == advices.CHUNK_PATH:
        request.max_content_length = MAX_CHUNK_BYTES
    elif request.url_rule is not None and request.url_rule.rule in LARGER:
        request.max_content_length = LARGER[request.url_rule.rule]
    elif request.path == tariffs.DRAFTS_PATH:
        request.max_content_length = MAX_TARIFF_BYTES
