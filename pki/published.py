"""What a scheme publishes: certificates and, by its desk, the status of what was issued."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pki.authority import Authority
from pki.errors import AuthorityHandedOver
from pki.ocsp import OcspAnswer
from pki.profiles import ISSUING
from pki.scheme import Scheme
from pki.sqlite_store import SqliteReader
from pki.status_desk import Records, SignedStatusList, StatusDesk
from pki.store import CertificateStore, StoredCrl
from pki.trust import edition, load_crl


@dataclass(frozen=True, slots=True)
class PublishedScheme:
    """Over a desk for the authorities whose keys are at hand; of the others what lies in a folder."""

    certificates: Mapping[str, x509.Certificate]
    desk: StatusDesk
    public_dir: Path

    def certificate(self, issuer: str) -> x509.Certificate | None:
        """The certificate of one of the authorities' keys."""
        return self.certificates.get(issuer)

    def crl(self, issuer: str, shard: int | None = None, *, delta: bool = False) -> StoredCrl | None:
        """A revocation list that is in date; of an offline root, the newest that was put there."""
        if issuer not in self.certificates:
            return None
        found = self.desk.crl(issuer, shard, delta=delta)
        path = self.public_dir / f"{issuer}.crl"
        if found is None and shard is None and not delta and path.is_file():
            found = _read(path, issuer)
        return found

    def respond(self, request: bytes) -> OcspAnswer:
        """The answer to an OCSP request."""
        return self.desk.respond(request)

    def status_list(self, number: int) -> SignedStatusList | None:
        """One of the status lists for terminals."""
        return self.desk.status_list(number)


def publish(scheme: Scheme, clock: Callable[[], datetime]) -> PublishedScheme:
    """What a scheme publishes that keeps its own records. Raises AuthorityHandedOver, WrongPassphrase."""
    for name, program in scheme.handed_over.items():
        raise AuthorityHandedOver(name, program)
    reader = SqliteReader(scheme.records_path(ISSUING[0]))

    @contextmanager
    def read(_: str) -> Iterator[CertificateStore]:
        yield reader

    @contextmanager
    def change(name: str) -> Iterator[Authority]:
        yield scheme.authority(name)

    issuers = {issuer: name for name in ISSUING for issuer in scheme.issuers(name)}
    for name in ISSUING:
        scheme.authority(name)  # a wrong passphrase is said now, and not to who asks first
    desk = StatusDesk(issuers, Records(read=read, change=change), scheme.key_store, scheme.public_url, clock)
    return PublishedScheme(scheme.issuer_certificates, desk, scheme.public_dir)


def _read(path: Path, issuer: str) -> StoredCrl:
    crl = load_crl(path)
    number, this_update = edition(crl)
    return StoredCrl(
        authority=issuer,
        number=number,
        issuer=issuer,
        this_update=this_update,
        next_update=crl.next_update_utc or this_update,
        der=crl.public_bytes(Encoding.DER),
    )
