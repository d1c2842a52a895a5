"""What a program relies on: roots, the authorities below them, and the revocation lists that it has."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID

from pki.errors import EncodingInvalid, SchemeInvalid
from pki.reading import UNREADABLE, read_certificate, read_crl, require_readable

ROOT_FILE = "root.crt"

_Series: TypeAlias = tuple[x509.Name, x509.ExtensionType | None, x509.ExtensionType | None, bool]


@dataclass(frozen=True, slots=True)
class TrustStore:
    """Values only: a new revocation list makes a new store."""

    roots: tuple[x509.Certificate, ...]
    intermediates: tuple[x509.Certificate, ...] = ()
    crls: tuple[x509.CertificateRevocationList, ...] = ()

    @classmethod
    def from_directory(cls, directory: Path) -> "TrustStore":
        """`root.crt`, every other `*.crt` and every `*.crl` of a folder, PEM or DER. Raises SchemeInvalid."""
        root = directory / ROOT_FILE
        if not root.is_file():
            raise SchemeInvalid(f"there is no {ROOT_FILE} in {directory}, so nothing can be trusted")
        others = sorted(path for path in directory.glob("*.crt") if path != root)
        return cls(
            roots=(load_certificate(root),),
            intermediates=tuple(load_certificate(path) for path in others),
            crls=tuple(load_crl(path) for path in sorted(directory.glob("*.crl"))),
        )

    def with_crls(self, crls: Iterable[x509.CertificateRevocationList]) -> "TrustStore":
        """The same store with these lists added; of each authority the newest of each scope is kept.

        A list that none of the authorities here has signed is left out: it cannot push out a good one.
        """
        newest: dict[_Series, x509.CertificateRevocationList] = {}
        for crl in (*self.crls, *crls):
            series = _series_of(crl)
            known = newest.get(series)
            if self._is_authentic(crl) and (known is None or edition(crl) > edition(known)):
                newest[series] = crl
        return replace(self, crls=tuple(newest.values()))

    def _is_authentic(self, crl: x509.CertificateRevocationList) -> bool:
        for authority in (*self.intermediates, *self.roots):
            key = authority.public_key()
            if (
                authority.subject == crl.issuer
                and isinstance(key, ec.EllipticCurvePublicKey)
                and crl.is_signature_valid(key)
            ):
                return True
        return False


def _series_of(crl: x509.CertificateRevocationList) -> _Series:
    """What lists that replace one another share: issuer and key, scope, and whether they are deltas."""
    present = {found.oid: found.value for found in crl.extensions}
    return (
        crl.issuer,
        present.get(ExtensionOID.AUTHORITY_KEY_IDENTIFIER),
        present.get(ExtensionOID.ISSUING_DISTRIBUTION_POINT),
        ExtensionOID.DELTA_CRL_INDICATOR in present,
    )


def edition(crl: x509.CertificateRevocationList) -> tuple[int, datetime]:
    """What orders the lists of one authority: their number (RFC 5280, 5.2.3), then their date."""
    try:
        number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except x509.ExtensionNotFound:
        number = -1
    return number, crl.last_update_utc


def load_certificate(path: Path) -> x509.Certificate:
    """A certificate from a PEM or DER file. Raises SchemeInvalid."""
    data = _read(path)
    try:
        if data.lstrip().startswith(b"-----BEGIN"):
            return require_readable(x509.load_pem_x509_certificate(data))
        return read_certificate(data)
    except (EncodingInvalid, *UNREADABLE) as error:
        raise SchemeInvalid(f"{path} is not a certificate in PEM or DER") from error


def load_crl(path: Path) -> x509.CertificateRevocationList:
    """A revocation list from a PEM or DER file. Raises SchemeInvalid."""
    data = _read(path)
    try:
        if data.lstrip().startswith(b"-----BEGIN"):
            data = x509.load_pem_x509_crl(data).public_bytes(Encoding.DER)
        return read_crl(data)
    except (EncodingInvalid, *UNREADABLE) as error:
        raise SchemeInvalid(f"{path} is not a revocation list in PEM or DER") from error


def load_csr(path: Path) -> x509.CertificateSigningRequest:
    """A certificate signing request from a PEM or DER file. Raises SchemeInvalid."""
    data = _read(path)
    try:
        if data.lstrip().startswith(b"-----BEGIN"):
            return x509.load_pem_x509_csr(data)
        return x509.load_der_x509_csr(data)
    except ValueError as error:
        raise SchemeInvalid(f"{path} is not a certificate signing request in PEM or DER") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SchemeInvalid(f"{path} cannot be read: {error.strerror}") from error
