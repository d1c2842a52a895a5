"""The service's own keys, in one folder of the scheme's directory beside those of the authorities."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from cardservice.authorisation.nonce import Nonces
from cardservice.errors import NotInitialised
from cardservice.ids import CardId
from pki.authority import Authority
from pki.card_keys import diversify_aes128
from pki.errors import PkiError
from pki.keys import FileKeyStore
from pki.profiles import SERVICE

FOLDER = "cardservice"
ANSWERS, NONCES, CARDHOLDER_KEYS, MANAGEMENT_KEYS = "answers", "nonces", "cardholder-keys", "management-keys"
CERTIFICATE = "answers.crt"
# The authority of the certificate that answers are verified with, and the identity in it.
AUTHORITY, IDENTITY = "service", "cardservice"
# AN10922 takes up to 31 bytes: the key's slot (SP 800-78-5, table 4) tells this use of a card's identifier.
_MANAGEMENT_SLOT = b"\x9b"


@dataclass(frozen=True, slots=True, repr=False)
class ServiceKeys:
    """The keys in memory; they never leave the process."""

    answer_key: ec.EllipticCurvePrivateKey
    answer_certificate: x509.Certificate
    # The thumbprint by which an answer names its certificate.
    answer_certificate_sha256: bytes
    nonces: Nonces
    # Wraps the key of each cardholder, under which proofs are encrypted.
    cardholder_kek: bytes
    _management_master: bytes

    def management_key(self, card: CardId) -> bytes:
        """The card's own AES-128 management key (slot 9B)."""
        return diversify_aes128(self._management_master, card.bytes + _MANAGEMENT_SLOT)


def create_service_keys(authority: Authority, directory: Path, passphrase: bytes, moment: datetime) -> None:
    """Make what is missing of the keys, and have the answers' certificate issued; never replaces a key."""
    folder = directory / FOLDER
    store = FileKeyStore(folder, passphrase)
    present = {path.stem for path in folder.iterdir()} if folder.exists() else set()
    for name in {NONCES, CARDHOLDER_KEYS} - present:
        store.generate_secret(name, 32)
    if MANAGEMENT_KEYS not in present:
        store.generate_secret(MANAGEMENT_KEYS, 16)
    certificate = folder / CERTIFICATE
    if not certificate.exists():
        key = store.private_key(ANSWERS) if ANSWERS in present else store.generate(ANSWERS)
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, IDENTITY)])
        request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
        issued = authority.issue(request, SERVICE, IDENTITY, moment)
        certificate.write_bytes(issued.public_bytes(Encoding.PEM))


def load_service_keys(directory: Path, passphrase: bytes) -> ServiceKeys:
    """The keys of an initialised service. Raises NotInitialised."""
    folder = directory / FOLDER
    try:
        store = FileKeyStore(folder, passphrase)
        certificate = x509.load_pem_x509_certificate((folder / CERTIFICATE).read_bytes())
        return ServiceKeys(
            answer_key=store.private_key(ANSWERS),
            answer_certificate=certificate,
            answer_certificate_sha256=certificate.fingerprint(hashes.SHA256()),
            nonces=Nonces(store.secret(NONCES)),
            cardholder_kek=store.secret(CARDHOLDER_KEYS),
            _management_master=store.secret(MANAGEMENT_KEYS),
        )
    except (OSError, PkiError) as error:
        raise NotInitialised(
            f"the service's keys in {folder} cannot be read ({error}); run cardservice init"
        ) from error
