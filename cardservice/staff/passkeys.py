"""Passkeys: made by somebody who is signed in, and signed in with afterwards (Web Authentication, level 3).

The person is verified at the authenticator, by its PIN or a finger; so a passkey stands alone. It is found by
what the authenticator calls it, and nobody is asked who they are before. Where a passkey comes from is not
asked (`attestation: none`): a scheme that trusts one maker alone has certificates for that.
"""

import hmac
import struct
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from fido2.server import Fido2Server
from fido2.utils import websafe_encode
from fido2.webauthn import (
    AttestedCredentialData,
    CollectedClientData,
    PublicKeyCredentialDescriptor,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialType,
    PublicKeyCredentialUserEntity,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)
from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from cardservice.audit.service import record
from cardservice.context import Context
from cardservice.ids import new_random_id
from cardservice.keys import secret_of
from cardservice.staff.challenges import SIGN_IN, make, spend
from cardservice.staff.credential_models import staff_passkey
from cardservice.staff.errors import CredentialRefused, SignInRefused
from cardservice.staff.service import Person, find_person

# Ours: of one person.
MOST, MAX_NAME = 10, 40
MAX_CLIENT_DATA_BYTES, MAX_ATTESTATION_BYTES, MAX_ASSERTION_BYTES = 4096, 16_384, 4096
MAX_CREDENTIAL_ID_BYTES = 1023  # Web Authentication, 6.1
# ES256, EdDSA, RS256 (IANA, COSE Algorithms): what authenticators have.
_ALGORITHMS = (-7, -8, -257)
_REQUIRED = UserVerificationRequirement.REQUIRED
_HANDLES = "staff-passkeys"
# What reading bytes of strangers by fido2 ends in, where they are not what they should be.
_UNREADABLE = (
    *(ValueError, TypeError, LookupError, AttributeError, AssertionError, NotImplementedError),
    *(RecursionError, OverflowError, struct.error),
)


@dataclass(frozen=True, slots=True)
class Passkey:
    """A passkey as its owner sees it."""

    id: UUID
    name: str
    created_at: datetime
    used_at: datetime | None


def offer(context: Context, person: Person) -> dict[str, Any]:
    """What `navigator.credentials.create` is given, as `parseCreationOptionsFromJSON` reads it (5.1.9)."""
    with context.database.reading() as connection:
        own = staff_passkey.c
        known = connection.scalars(select(own.credential_id).where(own.staff_id == person.id)).all()
    handle = hmac.digest(secret_of(context.keys.store, _HANDLES), person.id.encode(), sha256)
    options, _ = _server(context).register_begin(
        PublicKeyCredentialUserEntity(name=person.id, id=handle, display_name=person.name),
        [PublicKeyCredentialDescriptor(type=PublicKeyCredentialType.PUBLIC_KEY, id=each) for each in known],
        resident_key_requirement=ResidentKeyRequirement.REQUIRED,
        user_verification=_REQUIRED,
        challenge=make(context, _purpose(person)),
    )
    offered: dict[str, Any] = dict(options)["publicKey"]
    plain: dict[str, Any] = _plain(offered)
    return plain


def keep(context: Context, person: Person, name: str, client_data: bytes, attestation: bytes) -> Passkey:
    """Keep a passkey that was made for an offer. Raises SignInRefused and CredentialRefused."""
    spend(context, _challenge(client_data), _purpose(person))
    response = {"clientDataJSON": client_data, "attestationObject": attestation}
    try:
        made = _server(context).register_complete(_state(client_data), {"rawId": b"", "response": response})
        attested = made.credential_data
        if attested is None or attested.public_key.get(3) not in _ALGORITHMS:
            raise ValueError("no key of an algorithm that was asked for")
        # It would fail only when it is wanted.
        AttestedCredentialData(bytes(attested))
    except _UNREADABLE as error:
        raise CredentialRefused(f"this is no passkey for here: {error}") from error
    moment = context.now()
    kept = Passkey(new_random_id(), name, moment, None)
    try:
        with context.database.begin() as connection:
            if len(list_passkeys(connection, person.id)) >= MOST:
                raise CredentialRefused(f"{MOST} passkeys are enough; take one away first")
            connection.execute(
                insert(staff_passkey).values(
                    credential_id=attested.credential_id,
                    id=kept.id,
                    staff_id=person.id,
                    name=name,
                    attested=bytes(attested),
                    sign_count=made.counter,
                    created_at=moment,
                )
            )
            record(connection, person.actor, "staff.passkey_add", person.id, moment, passkey=str(kept.id))
    except IntegrityError as error:
        raise CredentialRefused("this passkey is somebody's already") from error
    return kept


def sign_in(
    context: Context, credential_id: bytes, client_data: bytes, authenticator_data: bytes, signature: bytes
) -> Person:
    """Who holds a passkey. Raises SignInRefused."""
    spend(context, _challenge(client_data), SIGN_IN)
    with context.database.begin() as connection:
        own = staff_passkey.c
        row = connection.execute(
            select(staff_passkey).where(own.credential_id == credential_id).with_for_update()
        ).one_or_none()
        person = None if row is None else find_person(connection, row.staff_id)
        if row is None or person is None or not person.is_active:
            raise SignInRefused("nobody of the staff has this passkey")
        try:
            count = _asserted(
                context, row.attested, credential_id, client_data, authenticator_data, signature
            )
        except _UNREADABLE as error:
            raise SignInRefused(str(error), person.id) from error
        # 6.1.1: a count that does not rise is a copy's; one that is always 0 says nothing.
        if (count or row.sign_count) and count <= row.sign_count:
            raise SignInRefused(f"passkey {row.id} counts {count} after {row.sign_count}", person.id)
        used = update(staff_passkey).where(own.credential_id == credential_id)
        connection.execute(used.values(sign_count=count, used_at=context.now()))
    return person


def list_passkeys(connection: Connection, staff_id: str) -> list[Passkey]:
    """Somebody's, the earliest first."""
    own = staff_passkey.c
    rows = connection.execute(
        select(own.id, own.name, own.created_at, own.used_at)
        .where(own.staff_id == staff_id)
        .order_by(own.created_at, own.id)
    )
    return [Passkey(*row) for row in rows]


def take_away(
    connection: Connection, staff_id: str, passkey_id: UUID, *, actor: str, moment: datetime
) -> None:
    """Let a passkey of somebody sign nobody in any more; of what is not there nothing is said."""
    own = staff_passkey.c
    gone = connection.execute(delete(staff_passkey).where(own.id == passkey_id, own.staff_id == staff_id))
    if gone.rowcount:
        record(connection, actor, "staff.passkey_remove", staff_id, moment, passkey=str(passkey_id))


def rp_id(context: Context) -> str:
    """For whom passkeys are: the name of the public origin's machine (5.1.4.1, RP ID)."""
    return urlsplit(context.settings.public_origin).hostname or ""


def _server(context: Context) -> Fido2Server:
    party = PublicKeyCredentialRpEntity(name=context.scheme.name, id=rp_id(context))
    server = Fido2Server(party, verify_origin=lambda origin: origin == context.settings.public_origin)
    server.allowed_algorithms = [each for each in server.allowed_algorithms if each.alg in _ALGORITHMS]
    return server


def _asserted(
    context: Context, attested: bytes, credential_id: bytes, client_data: bytes, data: bytes, signature: bytes
) -> int:
    """The authenticator's count, of an assertion that verifies (7.2)."""
    response = {"clientDataJSON": client_data, "authenticatorData": data, "signature": signature}
    known = [AttestedCredentialData(attested)]
    answer = {"rawId": credential_id, "response": response}
    _server(context).authenticate_complete(_state(client_data), known, answer)
    # Flags and count stand where they always do: 6.1
    return int.from_bytes(data[33:37])


def _challenge(client_data: bytes) -> bytes:
    """The challenge that an answer says it is to. Raises SignInRefused."""
    try:
        return bytes(CollectedClientData(client_data).challenge)
    except _UNREADABLE as error:
        raise SignInRefused("what the browser says it was asked cannot be read") from error


def _state(client_data: bytes) -> dict[str, Any]:
    """What fido2 would have kept since it asked: ours is in the challenge itself, which was spent before."""
    return {"challenge": websafe_encode(_challenge(client_data)), "user_verification": _REQUIRED}


def _purpose(person: Person) -> str:
    return f"passkey:{person.id}"


def _plain(value: Any) -> Any:
    """fido2's mappings as JSON's own."""
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    if hasattr(value, "items"):
        return {name: _plain(each) for name, each in value.items() if each is not None}
    return [_plain(each) for each in value]
