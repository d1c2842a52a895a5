"""The routes of each of the staff about themselves: sessions, passkeys, the password with codes."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from cardservice.api.blueprints import Blueprint
from cardservice.api.current import context
from cardservice.staff import passkeys, passwords, sessions
from cardservice.staff.carrying import clear_cookie
from cardservice.staff.errors import SessionInvalid, SessionUnknown, SignInAgain
from cardservice.staff.roles import Right
from cardservice.staff.sessions import SignedIn
from cardservice.staff_api import session_schemas as schemas
from cardservice.staff_api.access import caller, me, staff_alone
from cardservice.staff_api.sharing import NothingSchema

blueprint = Blueprint("own", "cardservice.staff_api.own", description="Staff about themselves.")
# Ours: a token that was taken from somebody makes no passkey for whoever took it, later.
FRESH = timedelta(minutes=15)


@blueprint.route("/v1/staff/me")
@blueprint.response(200, schemas.MeSchema)
@blueprint.problems(401)
@staff_alone
def get_me() -> dict[str, Any]:
    """Who asks, what they may do, and until when."""
    signer = caller()
    session = schemas.session_values(signer.session) if isinstance(signer, SignedIn) else None
    return {"person": schemas.person_values(signer.person), "session": session}


@blueprint.route("/v1/staff/sign-out", methods=["POST"])
@blueprint.arguments(NothingSchema)
@blueprint.response(200, schemas.EndedSchema)
@blueprint.problems(400, 401)
@staff_alone
def post_sign_out(body: dict[str, Any]) -> Any:
    """End the session that asks."""
    del body
    signer = caller()
    if not isinstance(signer, SignedIn):
        raise SessionInvalid("this request was signed by a key, and not by a session that could end")
    with context().database.begin() as connection:
        sessions.end(connection, signer.session.id, actor=me().actor, moment=context().now())
    return {"session": signer.session.id}, 200, {"Set-Cookie": clear_cookie()}


@blueprint.route("/v1/staff/sessions")
@blueprint.response(200, schemas.SessionsSchema)
@blueprint.problems(401)
@staff_alone
def get_sessions() -> dict[str, Any]:
    """One's own sessions that go on, the newest first."""
    with context().database.reading() as connection:
        found = sessions.list_sessions(connection, me().id, context().now())
    return {"sessions": [schemas.session_values(each) for each in found]}


@blueprint.route("/v1/staff/sessions/<uuid:session_id>/end", methods=["POST"])
@blueprint.arguments(NothingSchema)
@blueprint.response(200, schemas.EndedSchema)
@blueprint.problems(400, 401, 404)
@staff_alone
def post_end(body: dict[str, Any], session_id: UUID) -> dict[str, Any]:
    """End a session of one's own; whoever keeps accounts may end any."""
    del body
    with context().database.begin() as connection:
        owner = sessions.owner_of(connection, session_id)
        if owner != me().id and not me().may(Right.KEEP_STAFF):
            # Of another's not even that it is there.
            raise SessionUnknown(session_id)
        sessions.end(connection, session_id, actor=me().actor, moment=context().now())
    return {"session": session_id}


@blueprint.route("/v1/staff/passkeys")
@blueprint.response(200, schemas.PasskeysSchema)
@blueprint.problems(401)
@staff_alone
def get_passkeys() -> dict[str, Any]:
    """One's own passkeys."""
    with context().database.reading() as connection:
        found = passkeys.list_passkeys(connection, me().id)
    return {"passkeys": [schemas.passkey_values(each) for each in found]}


@blueprint.route("/v1/staff/passkeys/offer", methods=["POST"])
@blueprint.arguments(NothingSchema)
@blueprint.response(200, schemas.OfferSchema)
@blueprint.problems(400, 401, 403)
@staff_alone
def post_offer(body: dict[str, Any]) -> dict[str, Any]:
    """What a browser makes a passkey by."""
    del body
    _require_fresh()
    return {"options": passkeys.offer(context(), me())}


@blueprint.route("/v1/staff/passkeys", methods=["POST"])
@blueprint.arguments(schemas.NewPasskeySchema)
@blueprint.response(200, schemas.PasskeySchema)
@blueprint.problems(400, 401, 403, 422)
@staff_alone
def post_passkey(body: dict[str, Any]) -> dict[str, Any]:
    """Keep a passkey that was made for an offer."""
    _require_fresh()
    given = (body["name"], body["client_data"], body["attestation"])
    return schemas.passkey_values(passkeys.keep(context(), me(), *given))


@blueprint.route("/v1/staff/passkeys/<uuid:passkey_id>/removal", methods=["POST"])
@blueprint.arguments(NothingSchema)
@blueprint.response(200, schemas.PasskeysSchema)
@blueprint.problems(400, 401, 403, 404)
@staff_alone
def post_removal(body: dict[str, Any], passkey_id: UUID) -> dict[str, Any]:
    """Let a passkey of one's own sign nobody in any more; what is left."""
    del body
    _require_fresh()
    with context().database.begin() as connection:
        passkeys.take_away(connection, me().id, passkey_id, actor=me().actor, moment=context().now())
        found = passkeys.list_passkeys(connection, me().id)
    return {"passkeys": [schemas.passkey_values(each) for each in found]}


@blueprint.route("/v1/staff/password", methods=["POST"])
@blueprint.arguments(schemas.NewPasswordSchema)
@blueprint.response(200, schemas.BegunSchema)
@blueprint.problems(400, 401, 403, 422)
@staff_alone
def post_password(body: dict[str, Any]) -> dict[str, Any]:
    """Choose a password; what the app for codes is set up with. A code of it puts both in force."""
    _require_fresh()
    begun = passwords.begin(context(), me(), body["password"])
    return {"secret": begun.secret, "address": begun.address}


@blueprint.route("/v1/staff/password/confirmation", methods=["POST"])
@blueprint.arguments(schemas.AppCodeSchema)
@blueprint.response(200, schemas.PersonSchema)
@blueprint.problems(400, 401, 403, 422)
@staff_alone
def post_confirmation(body: dict[str, Any]) -> dict[str, Any]:
    """Put the password in force, by a code of the app."""
    _require_fresh()
    passwords.confirm(context(), me(), body["code"])
    return schemas.person_values(me())


def _require_fresh() -> None:
    """Raises SignInAgain."""
    signer = caller()
    if isinstance(signer, SignedIn) and context().now() - signer.session.began_at > FRESH:
        raise SignInAgain
