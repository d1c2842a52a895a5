"""The routes by which a terminal gets its certificate: by a one-time code, and anew before it ends."""

from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from flask import current_app

from cardservice.api.blueprints import Blueprint
from cardservice.api.current import caller, context, terminal_signed
from cardservice.api.gate import gate_of, origin
from cardservice.terminals.enrolment import enrol, renew
from cardservice.terminals.schemas import EnrolmentSchema, RenewalSchema, TerminalCertificateSchema
from cardservice.terminals.service import AUTHORITY

blueprint = Blueprint("enrolment", "cardservice.enrolment", description="How terminals are certified.")


@blueprint.route("/enrolments", methods=["POST"])
@blueprint.arguments(EnrolmentSchema)
@blueprint.response(200, TerminalCertificateSchema)
@blueprint.problems(400, 403, 413, 422)
def post_enrolment(body: dict[str, Any]) -> dict[str, Any]:
    """Register a terminal that was invited, and certify its key; the same code and key again get the same."""
    gate_of(current_app).count_enrolment(*origin())
    return _answer(enrol(context(), body["terminal"], body["code"], body["csr"]))


@blueprint.route("/v1/terminal-certificate", methods=["POST"])
@blueprint.arguments(RenewalSchema)
@blueprint.response(200, TerminalCertificateSchema)
@blueprint.problems(400, 401, 403, 413, 422)
@terminal_signed()
def post_renewal(body: dict[str, Any]) -> dict[str, Any]:
    """A certificate for the terminal's present key, once it is due; until then the one that it has."""
    with context().database.begin() as connection:
        authority = context().authority(AUTHORITY, connection)
        der = renew(connection, authority, caller(), body["csr"], context().now())
    return _answer(der)


def _answer(der: bytes) -> dict[str, Any]:
    authorities = (context().issuer_of(x509.load_der_x509_certificate(der)), context().certificates["root"])
    return {"certificate": der, "chain": [each.public_bytes(Encoding.DER) for each in authorities]}
