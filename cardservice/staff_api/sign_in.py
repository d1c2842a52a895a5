"""The routes by which staff sign in: nobody is known before, so addresses are counted, and refusals alike."""

from collections.abc import Callable
from typing import Any

from flask import current_app, request

from cardservice.api.blueprints import Blueprint
from cardservice.api.current import context
from cardservice.api.gate import gate_of, origin
from cardservice.audit.service import record
from cardservice.staff import certificate_sign_in, challenges, enrolment, passkeys, passwords, sessions
from cardservice.staff.carrying import set_cookie
from cardservice.staff.errors import SignInRefused
from cardservice.staff.service import Person
from cardservice.staff_api import session_schemas as schemas
from cardservice.staff_api.sharing import NothingSchema

blueprint = Blueprint("sign-in", "cardservice.staff_api.sign_in", description="Staff sign in.")
# Who did it, in the trail, where nobody was let in.
_NOBODY = "http:unknown"


@blueprint.route("/v1/staff/challenges", methods=["POST"])
@blueprint.arguments(NothingSchema)
@blueprint.response(200, schemas.ChallengeSchema)
@blueprint.problems(400)
def post_challenge(body: dict[str, Any]) -> dict[str, Any]:
    """A challenge for a staff card or a passkey."""
    del body
    service = context()
    return {
        "challenge": challenges.make(service, challenges.SIGN_IN),
        "origin": service.settings.public_origin,
        "rp": passkeys.rp_id(service),
        "expires_at": service.now() + challenges.VALIDITY,
    }


@blueprint.route("/v1/staff/sessions/certificate", methods=["POST"])
@blueprint.arguments(schemas.CertificateSignInSchema)
@blueprint.response(200, schemas.SignedInSchema)
@blueprint.problems(400, 401)
def post_certificate(body: dict[str, Any]) -> Any:
    """Sign in with a staff card: its authentication key has signed the challenge."""

    def find() -> Person:
        given = (body["challenge"], body["certificate"], body["signature"])
        return certificate_sign_in.sign_in(context(), *given)

    return _begun(sessions.CERTIFICATE, find, in_browser=body["browser"])


@blueprint.route("/v1/staff/sessions/passkey", methods=["POST"])
@blueprint.arguments(schemas.PasskeySignInSchema)
@blueprint.response(200, schemas.SignedInSchema)
@blueprint.problems(400, 401)
def post_passkey(body: dict[str, Any]) -> Any:
    """Sign in with a passkey."""

    def find() -> Person:
        given = (body["credential"], body["client_data"], body["authenticator_data"], body["signature"])
        return passkeys.sign_in(context(), *given)

    return _begun(sessions.PASSKEY, find, in_browser=body["browser"])


@blueprint.route("/v1/staff/sessions/password", methods=["POST"])
@blueprint.arguments(schemas.PasswordSignInSchema)
@blueprint.response(200, schemas.SignedInSchema)
@blueprint.problems(400, 401)
def post_password(body: dict[str, Any]) -> Any:
    """Sign in with a password and the code of an app."""

    def find() -> Person:
        return passwords.sign_in(context(), body["staff"], body["password"], body["code"])

    return _begun(sessions.PASSWORD, find, in_browser=body["browser"])


@blueprint.route("/v1/staff/sessions/enrolment", methods=["POST"])
@blueprint.arguments(schemas.EnrolmentSignInSchema)
@blueprint.response(200, schemas.SignedInSchema)
@blueprint.problems(400, 401)
def post_enrolment(body: dict[str, Any]) -> Any:
    """Come in with an administrator's code, for a quarter of an hour, to set up a passkey or a password."""

    def find() -> Person:
        return enrolment.sign_in(context(), body["staff"], body["code"])

    return _begun(sessions.ENROLMENT, find, in_browser=body["browser"])


def _begun(method: str, find: Callable[[], Person], *, in_browser: bool) -> Any:
    service, gate = context(), gate_of(current_app)
    gate.count_sign_in(*origin())
    try:
        if in_browser:
            _require_own_page(service.settings.public_origin)
        person = find()
    except SignInRefused as refusal:
        # Anybody can be refused: the trail is not for them to fill. The log has a line of each.
        if gate.note_refused(service.now()):
            with service.database.begin() as connection:
                who, said = refusal.staff or "unknown", {"method": method, "why": refusal.why}
                record(connection, _NOBODY, "staff.sign_in_refused", who, service.now(), **said)
        raise
    token, session = sessions.begin(service, person, method, in_browser=in_browser)
    values = {
        "token": None if in_browser else token,
        "session": schemas.session_values(session),
        "person": schemas.person_values(person),
    }
    return (values, 200, {"Set-Cookie": set_cookie(token)}) if in_browser else values


def _require_own_page(ours: str) -> None:
    """No other site signs somebody in as somebody else. Raises SignInRefused."""
    if request.headers.get("Origin") != ours:
        raise SignInRefused("a browser's session is for pages of the service's own origin alone")
