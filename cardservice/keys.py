"""The service's own keys, in one folder of the scheme's directory beside those of the authorities."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from cardservice.authorisation.nonce import Nonces
from cardservice.cards.piv_objects import ContentSigner
from cardservice.errors import NotInitialised
from cardservice.ids import CardId
from cardservice.ledger.key_ring import FIRST_VERSION, KeyRing
from pki.authority import Authority
from pki.card_keys import diversify_aes128
from pki.errors import KeyNotFound, PkiError
from pki.keys import FileKeyStore, KeyStore
from pki.profiles import CONTENT_SIGNER, SERVICE, Profile

FOLDER = "cardservice"
ANSWERS, NONCES, CARDHOLDER_KEYS, MANAGEMENT_KEYS = "answers", "nonces", "cardholder-keys", "management-keys"
PUKS, CONTENT = "puks", "content-signer"
# Those that have a certificate, each in a file of its name; and the identity in it.
_CERTIFIED = {ANSWERS: (SERVICE, "cardservice"), CONTENT: (CONTENT_SIGNER, "cardservice-content")}
# The authority of the certificate that answers are verified with.
AUTHORITY = "service"
# AN10922 takes up to 31 bytes: the key's slot (SP 800-78-5, table 4) tells this use of a card's identifier.
_MANAGEMENT_SLOT, _PUK = b"\x9b", b"\x81"
PUK_DIGITS = 8
# So many versions of a key in a row may have been put away; looking for one that is not there costs nothing.
_VERSIONS_PUT_AWAY = 64


@dataclass(frozen=True, slots=True, repr=False)
class ServiceKeys:
    """The keys in memory; they never leave the process."""

    # Where they lie, for those that are made when they are first needed
    store: KeyStore
    answer_key: ec.EllipticCurvePrivateKey
    answer_certificate: x509.Certificate
    # The thumbprint by which an answer names its certificate.
    answer_certificate_sha256: bytes
    nonces: Nonces
    # Wraps the key of each cardholder, under which proofs are encrypted; in its versions.
    cardholder_kek: KeyRing
    _management_master: bytes
    _puk_master: bytes
    # Signs what is written to cards.
    content_signer: ContentSigner

    def management_key(self, card: CardId) -> bytes:
        """The card's own AES-128 management key (slot 9B)."""
        return diversify_aes128(self._management_master, card.bytes + _MANAGEMENT_SLOT)

    def puk(self, card: CardId) -> str:
        """The card's own PUK: eight digits, which are kept nowhere, since they can be told again."""
        derived = int.from_bytes(diversify_aes128(self._puk_master, card.bytes + _PUK))
        # Of 2^128 numbers to 10^8: no PUK is noticeably likelier than another.
        return f"{derived % 10**PUK_DIGITS:0{PUK_DIGITS}}"


def create_service_keys(authority: Authority, directory: Path, passphrase: bytes, moment: datetime) -> None:
    """Make what is missing of the keys, and have their certificates issued; never replaces a key."""
    folder = directory / FOLDER
    store = FileKeyStore(folder, passphrase)
    present = {path.stem for path in folder.iterdir()} if folder.exists() else set()
    for name in {NONCES, CARDHOLDER_KEYS} - present:
        store.generate_secret(name, 32)
    for name in {MANAGEMENT_KEYS, PUKS} - present:
        store.generate_secret(name, 16)
    for name, (profile, identity) in _CERTIFIED.items():
        if not _certificate_file(folder, name).exists():
            key = store.private_key(name) if name in present else store.generate(name)
            issued = _certify(authority, key, profile, identity, moment)
            _certificate_file(folder, name).write_bytes(issued.public_bytes(Encoding.PEM))


def _certify(
    authority: Authority, key: ec.EllipticCurvePrivateKey, profile: Profile, identity: str, moment: datetime
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, identity)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return authority.issue(request, profile, identity, moment)


def _certificate_file(folder: Path, name: str) -> Path:
    return folder / f"{name}.crt"


def load_service_keys(directory: Path, passphrase: bytes) -> ServiceKeys:
    """The keys of an initialised service. Raises NotInitialised."""
    folder = directory / FOLDER
    try:
        store = FileKeyStore(folder, passphrase)
        certificate = _certificate(folder, ANSWERS)
        return ServiceKeys(
            store=store,
            answer_key=store.private_key(ANSWERS),
            answer_certificate=certificate,
            answer_certificate_sha256=certificate.fingerprint(hashes.SHA256()),
            nonces=Nonces(store.secret(NONCES)),
            cardholder_kek=_ring(store),
            _management_master=store.secret(MANAGEMENT_KEYS),
            _puk_master=store.secret(PUKS),
            content_signer=ContentSigner(_certificate(folder, CONTENT), store.private_key(CONTENT)),
        )
    except (OSError, PkiError) as error:
        raise NotInitialised(
            f"the service's keys in {folder} cannot be read ({error}); run cardservice init"
        ) from error


def make_kek_version(keys: ServiceKeys) -> KeyRing:
    """A new version of the key that wraps cardholders' keys, in a file of its own; the ring that has it."""
    newest = keys.cardholder_kek.newest + 1
    keys.store.generate_secret(kek_name(newest), 32)
    return _ring(keys.store)


def kek_name(version: int) -> str:
    """What a version's file is called: the first has the bare name."""
    return CARDHOLDER_KEYS if version == FIRST_VERSION else f"{CARDHOLDER_KEYS}-{version}"


def _ring(store: KeyStore) -> KeyRing:
    """Every version that there is. One that was put away wraps nothing any more, so some may be missing."""
    found: dict[int, bytes] = {}
    version, missing = FIRST_VERSION, 0
    while missing < _VERSIONS_PUT_AWAY:
        key = _kek(store, version)
        if key is None:
            missing += 1
        else:
            found[version], missing = key, 0
        version += 1
    if not found:
        # Says which file is missing.
        found[FIRST_VERSION] = store.secret(kek_name(FIRST_VERSION))
    return KeyRing(found, lambda wanted: _kek(store, wanted))


def _kek(store: KeyStore, version: int) -> bytes | None:
    try:
        return store.secret(kek_name(version))
    except KeyNotFound:
        return None


def _certificate(folder: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(_certificate_file(folder, name).read_bytes())
