"""People of the staff for tests: accounts, keys with certificates, and somebody at the keyboard."""

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from sqlalchemy import update

from cardservice.context import Context
from cardservice.staff import service
from cardservice.staff.acting import os_user
from cardservice.staff.models import staff
from cardservice.staff.roles import Role
from cardservice.staff.service import Person
from tests.support.council import Council, Terminal


def add(context: Context, name: str, *roles: Role, provider: str | None = None) -> Person:
    """An account with these roles; the first one is an administrator's, as it must be."""
    new = Person(name, name.title(), f"user-of-{name}", provider, is_active=True, roles=roles)
    with context.database.begin() as connection:
        service.add_person(connection, new, actor="test", moment=context.now())
    return new


def request_of(key: ec.EllipticCurvePrivateKey, name: str) -> x509.CertificateSigningRequest:
    """A request for a certificate."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())


@dataclass(frozen=True, slots=True)
class Staff:
    """The accounts of a service."""

    context: Context

    def is_at_the_keyboard(self, name: str | None) -> None:
        """Let the account on this machine be this one's, or nobody's."""
        with self.context.database.begin() as connection:
            connection.execute(update(staff).values(os_user=None))
            connection.execute(update(staff).where(staff.c.id == name).values(os_user=os_user()))

    def enrolled(self, name: str) -> ec.EllipticCurvePrivateKey:
        """A key with a certificate."""
        key = ec.generate_private_key(ec.SECP256R1())
        with self.context.database.begin() as connection:
            authority = self.context.authority(service.AUTHORITY, connection)
            request = request_of(key, name)
            service.enrol(connection, authority, name, request, actor="test", moment=self.context.now())
        return key

    def signer(self, council: Council, name: str) -> Terminal:
        """Somebody who signs requests."""
        return Terminal(f"staff:{name}", self.enrolled(name), council.client, council.clock)


def write_key(key: ec.EllipticCurvePrivateKey, file: Path) -> Path:
    """The key as people keep it, without a passphrase."""
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return file
