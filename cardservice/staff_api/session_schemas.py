"""Signing in, sessions, passkeys and passwords as JSON."""

from typing import Any

from marshmallow import fields
from marshmallow.validate import Length, Regexp

from cardservice.api.fields import Bytes, Identifier, Message, Moment, text
from cardservice.staff import certificate_sign_in, passkeys, passwords
from cardservice.staff.roles import rights_of
from cardservice.staff.service import Person
from cardservice.staff.sessions import Session

MAX_STAFF_ID = 32
_CODE = r"[0-9]{6}\Z"


class ChallengeSchema(Message):
    """What a card or a passkey is to sign, within two minutes, once."""

    challenge = Bytes(required=True)
    origin = fields.String(required=True, metadata={"description": "what a card's signature names"})
    rp = fields.String(required=True, metadata={"description": "for whom passkeys are"})
    expires_at = Moment(required=True)


class _SignInSchema(Message):
    browser = fields.Boolean(
        load_default=False, metadata={"description": "give the token as a cookie, and not in the answer"}
    )


class CertificateSignInSchema(_SignInSchema):
    """A staff card's answer to a challenge."""

    challenge = Bytes(required=True, max_length=40)
    certificate = Bytes(required=True, max_length=certificate_sign_in.MAX_CERTIFICATE_BYTES)
    signature = Bytes(required=True, max_length=certificate_sign_in.MAX_SIGNATURE_BYTES)


class PasskeySignInSchema(_SignInSchema):
    """A passkey's answer to a challenge. Web Authentication, 5.2.2"""

    credential = Bytes(required=True, max_length=passkeys.MAX_CREDENTIAL_ID_BYTES)
    client_data = Bytes(required=True, max_length=passkeys.MAX_CLIENT_DATA_BYTES)
    authenticator_data = Bytes(required=True, max_length=passkeys.MAX_ASSERTION_BYTES)
    signature = Bytes(required=True, max_length=1024)


class PasswordSignInSchema(_SignInSchema):
    """A password with the code of an app."""

    staff = text(MAX_STAFF_ID, required=True)
    password = text(passwords.MAX_PASSWORD, required=True)
    code = fields.String(required=True, validate=Regexp(_CODE))


class EnrolmentSignInSchema(_SignInSchema):
    """A code that an administrator has given, or two of them by halves."""

    staff = text(MAX_STAFF_ID, required=True)
    code = text(40, required=True)


class StaffSessionSchema(Message):
    """A session."""

    session = Identifier(required=True)
    staff = fields.String(required=True)
    method = fields.String(required=True)
    browser = fields.Boolean(required=True)
    began_at = Moment(required=True)
    seen_at = Moment(required=True)
    ends_at = Moment(required=True)


class PersonSchema(Message):
    """Who somebody is, and what they may do."""

    staff = fields.String(required=True)
    name = fields.String(required=True)
    roles = fields.List(fields.String(), required=True)
    rights = fields.List(fields.String(), required=True)
    provider = fields.String(required=True, allow_none=True)


class SignedInSchema(Message):
    """A session that has begun."""

    token = fields.String(required=True, allow_none=True, metadata={"description": "null: it is in a cookie"})
    session = fields.Nested(StaffSessionSchema, required=True)
    person = fields.Nested(PersonSchema, required=True)


class MeSchema(Message):
    """Who asks."""

    person = fields.Nested(PersonSchema, required=True)
    session = fields.Nested(StaffSessionSchema, required=True, allow_none=True)


class SessionsSchema(Message):
    """Somebody's sessions."""

    sessions = fields.List(fields.Nested(StaffSessionSchema), required=True)


class EndedSchema(Message):
    """A session that is over."""

    session = Identifier(required=True)


class OfferSchema(Message):
    """What a browser is given to make a passkey."""

    options = fields.Dict(
        required=True, metadata={"description": "for PublicKeyCredential.parseCreationOptionsFromJSON"}
    )


class NewPasskeySchema(Message):
    """A passkey that was made for an offer. Web Authentication, 5.2.1"""

    name = text(passkeys.MAX_NAME, required=True)
    client_data = Bytes(required=True, max_length=passkeys.MAX_CLIENT_DATA_BYTES)
    attestation = Bytes(required=True, max_length=passkeys.MAX_ATTESTATION_BYTES)


class PasskeySchema(Message):
    """A passkey."""

    passkey = Identifier(required=True)
    name = fields.String(required=True)
    created_at = Moment(required=True)
    used_at = Moment(required=True, allow_none=True)


class PasskeysSchema(Message):
    """Somebody's passkeys."""

    passkeys = fields.List(fields.Nested(PasskeySchema), required=True)


class NewPasswordSchema(Message):
    """A password that somebody has chosen."""

    password = fields.String(required=True, validate=Length(passwords.MIN_PASSWORD, passwords.MAX_PASSWORD))


class BegunSchema(Message):
    """What goes into the app for codes; told once."""

    secret = fields.String(required=True)
    address = fields.String(required=True, metadata={"description": "the same as otpauth://, for a picture"})


class AppCodeSchema(Message):
    """A code of the app."""

    code = fields.String(required=True, validate=Regexp(_CODE))


def session_values(each: Session) -> dict[str, Any]:
    """A session as JSON."""
    return {
        "session": each.id,
        "staff": each.staff_id,
        "method": each.method,
        "browser": each.origin is not None,
        "began_at": each.began_at,
        "seen_at": each.seen_at,
        "ends_at": each.ends_at,
    }


def person_values(person: Person) -> dict[str, Any]:
    """Somebody as JSON."""
    return {
        "staff": person.id,
        "name": person.name,
        "roles": [role.value for role in person.roles],
        "rights": sorted(right.value for right in rights_of(person.roles)),
        "provider": person.provider_id,
    }


def passkey_values(each: passkeys.Passkey) -> dict[str, Any]:
    """A passkey as JSON."""
    return {"passkey": each.id, "name": each.name, "created_at": each.created_at, "used_at": each.used_at}
