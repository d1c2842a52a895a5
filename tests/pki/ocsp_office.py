"""A responder for two authorities of a scheme, and requests to it as `cryptography` writes them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from pki import der
from pki.ocsp import CertId, CertificateStatus, OcspResponder, OcspSigner
from pki.scheme import Scheme
from tests.pki.conftest import START, new_key

HASHES = {
    "sha1": hashes.SHA1(),  # noqa: S303 -- what most clients name an issuer by; it protects nothing
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
GOOD = CertificateStatus()
LOST = CertificateStatus(START, "key_compromise")
HELD = CertificateStatus(START, "certificate_hold")
UNNAMED = CertificateStatus(START, "unspecified")
ISSUED = {1: GOOD, 2**127: LOST, 3: HELD, 4: UNNAMED}


@dataclass
class Records:
    """A StatusSource that counts how often it is asked."""

    statuses: dict[int, CertificateStatus] = field(default_factory=lambda: dict(ISSUED))
    asked: int = 0

    def status(self, issuer: str, serial: int) -> CertificateStatus | None:
        self.asked += 1
        return self.statuses.get(serial) if issuer == "cards" else None


@dataclass
class Office:
    """Records, and who answers for them."""

    records: Records
    signers: dict[str, OcspSigner]
    issuer_keys: dict[str, ec.EllipticCurvePrivateKey]

    def responder(self, kept: int = 100) -> OcspResponder:
        return OcspResponder(self.signers.values(), self.records, kept=kept)

    def issuer(self, name: str = "cards") -> x509.Certificate:
        return self.signers[name].issuer

    def certificate(self, serial: int, name: str = "cards") -> x509.Certificate:
        """A certificate of an authority with this serial number."""
        return _certificate(self.issuer(name), self.issuer_keys[name], new_key(), serial)

    def request(
        self,
        serial: int = 1,
        nonce: bytes | None = None,
        algorithm: str = "sha256",
        authority: str = "cards",
    ) -> bytes:
        certificate = self.certificate(serial, authority)
        builder = ocsp.OCSPRequestBuilder().add_certificate(
            certificate, self.issuer(authority), HASHES[algorithm]
        )
        if nonce is not None:
            builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
        return builder.build().public_bytes(Encoding.DER)


def open_office(scheme: Scheme) -> Office:
    signers, keys = {}, {}
    for name in ("cards", "terminals"):
        issuer, key = scheme.certificates[name], new_key()
        keys[name] = scheme.key_store.private_key(name)
        certificate = _certificate(issuer, keys[name], key, 77, responder=True)
        signers[name] = OcspSigner(name, issuer, certificate, key)
    return Office(Records(), signers, keys)


def batch(asked: Sequence[CertId], *extensions: bytes) -> bytes:
    """A request for several certificates, which `cryptography` cannot write. RFC 6960, 4.1.1."""
    wanted = der.tlv(der.SEQUENCE, *(der.tlv(der.SEQUENCE, each.raw) for each in asked))
    more = der.tlv(der.context(2), der.tlv(der.SEQUENCE, *extensions)) if extensions else b""
    return der.tlv(der.SEQUENCE, der.tlv(der.SEQUENCE, wanted, more))


def _certificate(
    issuer: x509.Certificate,
    issuer_key: ec.EllipticCurvePrivateKey,
    key: ec.EllipticCurvePrivateKey,
    serial: int,
    *,
    responder: bool = False,
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"number {serial}")]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(START)
        .not_valid_after(START + timedelta(days=30))
    )
    if responder:  # RFC 6960, 4.2.2.2 and 4.2.2.2.1
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), False)
        builder = builder.add_extension(x509.OCSPNoCheck(), False)
    return builder.sign(issuer_key, hashes.SHA256())
