"""Accounts of staff: made, given roles, enrolled, disabled; never deleted, since the trail names them."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection, delete, func, insert, select, update

from cardservice.audit.service import record
from cardservice.errors import AlreadyExists, OrderInvalid
from cardservice.ids import ProviderId
from cardservice.pki_store.store import DatabaseCertificateStore
from cardservice.providers.service import require_provider
from cardservice.services import discover
from cardservice.services.kitchens import Kitchened
from cardservice.staff.ending import end_all
from cardservice.staff.errors import NotTheirs, StaffUnknown
from cardservice.staff.models import staff, staff_role
from cardservice.staff.roles import RIGHTS, Right, Role, rights_of
from pki.authority import Authority
from pki.profiles import STAFF

AUTHORITY = "service"
# How an account is named where it is one of several kinds of actor: in the trail, and as a `keyid`.
PREFIX = "staff:"
_HANDLE = re.compile(r"[a-z][a-z0-9.-]{1,31}")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody of the staff, as of now."""

    id: str
    name: str
    os_user: str | None
    provider_id: str | None
    is_active: bool
    roles: tuple[Role, ...]

    @property
    def actor(self) -> str:
        """How the audit trail names them."""
        return PREFIX + self.id

    def may(self, right: Right) -> bool:
        """Whether one of their roles covers this."""
        return self.is_active and right in rights_of(self.roles)

    def require_provider(self, right: Right, provider_id: str) -> None:
        """Raises NotTheirs where they have the right as another provider's alone."""
        own = self.own_provider(right)
        if own is not None and own != provider_id:
            raise NotTheirs(self.id, f"the provider {provider_id}")

    def own_provider(self, right: Right) -> str | None:
        """The one provider whose things they may do this with; None: all."""
        return self.provider_id if self._through(right) == {Role.PROVIDER} else None

    def require_service(self, right: Right, service: str) -> None:
        """Raises NotTheirs where they have the right as the kitchen alone, and nothing is cooked for this."""
        if self._through(right) == {Role.KITCHEN} and not isinstance(discover().get(service), Kitchened):
            raise NotTheirs(self.id, f"the service {service}")

    def _through(self, right: Right) -> set[Role]:
        return {role for role in self.roles if right in RIGHTS[role]}


@dataclass(frozen=True, slots=True)
class OfStaff:
    """Somebody who has shown, with a request, who of the staff they are."""

    person: Person


@dataclass(frozen=True, slots=True)
class Signed(OfStaff):
    """Somebody who signs requests, with the key of their certificate."""

    public_key: ec.EllipticCurvePublicKey


def find_signer(connection: Connection, staff_id: str, moment: datetime) -> Signed | None:
    """Who signs as this account at `moment`; None where it is disabled or has no certificate that holds."""
    person = find_person(connection, staff_id)
    if person is None or not person.is_active:
        return None
    key = public_key_of(connection, staff_id, moment)
    return None if key is None else Signed(person, key)


def has_staff(connection: Connection) -> bool:
    """Whether the scheme has any account of staff, active or not: from the first on rights are asked for."""
    return connection.execute(select(staff.c.id).limit(1)).first() is not None


def find_person(connection: Connection, staff_id: str) -> Person | None:
    """The account of this name, or None."""
    found = _persons(connection, staff.c.id == staff_id)
    return found[0] if found else None


def find_by_os_user(connection: Connection, os_user: str) -> Person | None:
    """Whose account on the machine this is, or None."""
    found = _persons(connection, staff.c.os_user == os_user)
    return found[0] if found else None


def list_staff(connection: Connection) -> list[Person]:
    """All accounts, by name."""
    return _persons(connection, staff.c.id.is_not(None))


def add_person(connection: Connection, new: Person, *, actor: str, moment: datetime) -> None:
    """Make an account. Raises OrderInvalid, AlreadyExists and ProviderUnknown.

    The first one must be an administrator who gets in: from then on nobody does anything without an account.
    """
    if not _HANDLE.fullmatch(new.id):
        raise OrderInvalid(f"{new.id!r} is no name for an account: 2 to 32 small letters, digits and . -")
    if not has_staff(connection) and (Role.ADMINISTRATOR not in new.roles or new.os_user is None):
        raise OrderInvalid(
            "the first account is an administrator's (--role administrator) with an account on this machine"
            " (--user NAME): from then on nobody else gets in"
        )
    if new.provider_id is not None:
        require_provider(connection, ProviderId(new.provider_id))
    _require_sensible(new, new.roles)
    if connection.execute(select(staff.c.id).where(staff.c.id == new.id)).first():
        raise AlreadyExists("account of staff", new.id)
    if new.os_user is not None and find_by_os_user(connection, new.os_user):
        raise AlreadyExists("an account of staff for the user", new.os_user)
    values = {"name": new.name, "os_user": new.os_user, "provider_id": new.provider_id}
    connection.execute(insert(staff).values(id=new.id, is_active=True, created_at=moment, **values))
    for role in new.roles:
        _give(connection, new.id, role, actor, moment)
    record(connection, actor, "staff.add", new.id, moment, roles=sorted(new.roles), provider=new.provider_id)


def give_role(connection: Connection, staff_id: str, role: Role, *, actor: str, moment: datetime) -> None:
    """Let somebody do more. Raises StaffUnknown, OrderInvalid where they give it to themselves."""
    known = require_person(connection, staff_id)
    if known.actor == actor:
        raise OrderInvalid("nobody gives a role to themselves: another administrator does")
    _require_sensible(known, (*known.roles, role))
    if role not in known.roles:
        _give(connection, staff_id, role, actor, moment)
        record(connection, actor, "staff.give", staff_id, moment, role=role)


def take_role(connection: Connection, staff_id: str, role: Role, *, actor: str, moment: datetime) -> None:
    """Let somebody do less. Raises StaffUnknown, and OrderInvalid for the last administrator."""
    known = require_person(connection, staff_id)
    if role is Role.ADMINISTRATOR:
        _require_another_administrator(connection, staff_id)
    connection.execute(delete(staff_role).where(staff_role.c.staff_id == staff_id, staff_role.c.role == role))
    if role in known.roles:
        record(connection, actor, "staff.take", staff_id, moment, role=role)


def enrol(
    connection: Connection,
    authority: Authority,
    staff_id: str,
    request: x509.CertificateSigningRequest,
    *,
    actor: str,
    moment: datetime,
) -> x509.Certificate:
    """Certify somebody's key; what they had before is revoked. Raises StaffUnknown and what `issue` does."""
    known = require_person(connection, staff_id)
    if not known.is_active:
        raise OrderInvalid(f"{staff_id} is disabled: enable the account first")
    _revoke(connection, authority, staff_id, "superseded", moment)
    end_all(connection, staff_id, actor=actor, moment=moment, method="certificate")
    certificate = authority.issue(request, STAFF, staff_id, moment)
    record(connection, actor, "staff.enrol", staff_id, moment, serial=f"{certificate.serial_number:x}")
    return certificate


def set_active(
    connection: Connection,
    authority: Authority,
    staff_id: str,
    *,
    is_active: bool,
    actor: str,
    moment: datetime,
) -> None:
    """Let somebody in again, or no more: then their certificates are revoked. Raises as above."""
    require_person(connection, staff_id)
    if not is_active:
        _require_another_administrator(connection, staff_id)
        _revoke(connection, authority, staff_id, "cessation_of_operation", moment)
        end_all(connection, staff_id, actor=actor, moment=moment)
    connection.execute(update(staff).where(staff.c.id == staff_id).values(is_active=is_active))
    record(connection, actor, "staff.enable" if is_active else "staff.disable", staff_id, moment)


def require_person(connection: Connection, staff_id: str) -> Person:
    """The account of this name. Raises StaffUnknown."""
    known = find_person(connection, staff_id)
    if known is None:
        raise StaffUnknown(staff_id)
    return known


def public_key_of(
    connection: Connection, staff_id: str, moment: datetime
) -> ec.EllipticCurvePublicKey | None:
    """The key of somebody's certificate that holds at `moment` and is not revoked; None: there is none."""
    store = DatabaseCertificateStore(connection)
    for issued in store.find_by_identity(AUTHORITY, staff_id):
        holds = issued.not_before <= moment <= issued.not_after
        if issued.profile == STAFF.name and holds and issued.revoked_at is None:
            key = x509.load_der_x509_certificate(issued.der).public_key()
            return key if isinstance(key, ec.EllipticCurvePublicKey) else None
    return None


def _persons(connection: Connection, condition: object) -> list[Person]:
    rows = connection.execute(select(staff).where(condition).order_by(staff.c.id)).all()  # type: ignore[arg-type]
    held: dict[str, list[Role]] = {row.id: [] for row in rows}
    for staff_id, role in connection.execute(
        select(staff_role.c.staff_id, staff_role.c.role)
        .where(staff_role.c.staff_id.in_(held))
        .order_by(staff_role.c.role)
    ):
        held[staff_id].append(Role(role))
    return [
        Person(row.id, row.name, row.os_user, row.provider_id, row.is_active, tuple(held[row.id]))
        for row in rows
    ]


def _require_sensible(person: Person, roles: Collection[Role]) -> None:
    if (Role.PROVIDER in roles) and person.provider_id is None:
        raise OrderInvalid("whoever has the role provider is of one: name it (--provider)")


def _require_another_administrator(connection: Connection, staff_id: str) -> None:
    others = (
        select(func.count())
        .select_from(staff_role.join(staff, staff.c.id == staff_role.c.staff_id))
        .where(staff_role.c.role == Role.ADMINISTRATOR, staff.c.is_active, staff_role.c.staff_id != staff_id)
    )
    is_one = Role.ADMINISTRATOR in require_person(connection, staff_id).roles
    if is_one and connection.execute(others).scalar_one() == 0:
        raise OrderInvalid(f"{staff_id} is the last administrator: make another one first")


def _give(connection: Connection, staff_id: str, role: Role, actor: str, moment: datetime) -> None:
    values = {"staff_id": staff_id, "role": role.value, "given_at": moment, "given_by": actor}
    connection.execute(insert(staff_role).values(**values))


def _revoke(
    connection: Connection, authority: Authority, staff_id: str, reason: str, moment: datetime
) -> None:
    store = DatabaseCertificateStore(connection)
    found = [
        issued.serial
        for issued in store.find_by_identity(AUTHORITY, staff_id)
        if issued.profile == STAFF.name and (issued.revoked_at is None or issued.is_held)
    ]
    for serial in found:
        authority.revoke(serial, moment, reason)
    if found:
        authority.make_crls(moment)
