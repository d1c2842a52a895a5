"""The service's own keys: in a folder of the scheme's directory, or on a token (`cardservice.key_place`)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from cardservice.authorisation.nonce import Nonces
from cardservice.cards.piv_objects import ContentSigner
from cardservice.errors import NotInitialised
from cardservice.ids import CardId
from cardservice.key_place import FOLDER, open_place, open_terminals_place
from cardservice.ledger.key_ring import FIRST_VERSION, KeyRing
from pki.authority import Authority
from pki.card_keys import TerminalMasters, diversify_under
from pki.cmac import CmacKey
from pki.errors import KeyExists, KeyNotFound, PkiError
from pki.keys import KeyStore
from pki.profiles import CONTENT_SIGNER, SERVICE, Profile

T = TypeVar("T")

ANSWERS, NONCES, CARDHOLDER_KEYS, MANAGEMENT_KEYS = "answers", "nonces", "cardholder-keys", "management-keys"
PUKS, CONTENT, SERVICES = "puks", "content-signer", "services"
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
    """The keys, opened. Those in memory never leave the process; those on a token never leave that."""

    # Where they lie, for those that are made when they are first needed
    store: KeyStore
    answer_key: ec.EllipticCurvePrivateKey
    answer_certificate: x509.Certificate
    # The thumbprint by which an answer names its certificate.
    answer_certificate_sha256: bytes
    nonces: Nonces
    # From it each service has its own, for what it counts and holds by number plates and the like.
    services_master: bytes
    # Wraps the key of each cardholder, under which proofs are encrypted; in its versions.
    cardholder_kek: KeyRing
    _management_master: CmacKey
    _puk_master: CmacKey
    # Signs what is written to cards.
    content_signer: ContentSigner
    # Of keys 1 and 2 of the service applications, for the terminals of providers that they were granted to
    terminal_masters: TerminalMasters

    def management_key(self, card: CardId) -> bytes:
        """The card's own AES-128 management key (slot 9B)."""
        return diversify_under(self._management_master, card.bytes + _MANAGEMENT_SLOT)

    def puk(self, card: CardId) -> str:
        """The card's own PUK: eight digits, which are kept nowhere, since they can be told again."""
        derived = int.from_bytes(diversify_under(self._puk_master, card.bytes + _PUK))
        # Of 2^128 numbers to 10^8: no PUK is noticeably likelier than another.
        return f"{derived % 10**PUK_DIGITS:0{PUK_DIGITS}}"


def create_service_keys(authority: Authority, directory: Path, secret: bytes, moment: datetime) -> None:
    """Make what is missing of the keys, and have their certificates issued; never replaces a key.

    `secret` is their passphrase, or the PIN of their token. Raises what a `KeyStore` does.
    """
    store = open_place(directory, secret)
    for name in (NONCES, CARDHOLDER_KEYS, SERVICES):
        _found_or_made(store.working_secret, store.generate_working_secret, name)
    for name in (MANAGEMENT_KEYS, PUKS):
        _found_or_made(store.cmac_key, store.generate_cmac_key, name)
    for name, (profile, identity) in _CERTIFIED.items():
        key = _found_or_made(store.private_key, store.generate, name)
        file = _certificate_file(directory / FOLDER, name)
        if not file.exists():
            issued = _certify(authority, key, profile, identity, moment)
            file.write_bytes(issued.public_bytes(Encoding.PEM))


def secret_of(store: KeyStore, name: str) -> bytes:
    """A secret that is made when it is first wanted, by whichever process is the first."""
    try:
        return store.working_secret(name)
    except KeyNotFound:
        try:
            return store.generate_working_secret(name)
        except KeyExists:  # another process was faster
            return store.working_secret(name)


def _found_or_made(find: Callable[[str], T], make: Callable[[str], T], name: str) -> T:
    try:
        return find(name)
    except KeyNotFound:
        return make(name)


def _certify(
    authority: Authority, key: ec.EllipticCurvePrivateKey, profile: Profile, identity: str, moment: datetime
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, identity)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return authority.issue(request, profile, identity, moment)


def _certificate_file(folder: Path, name: str) -> Path:
    return folder / f"{name}.crt"


def load_service_keys(directory: Path, secret: bytes) -> ServiceKeys:
    """The keys of an initialised service, by their passphrase or their token's PIN. Raises NotInitialised."""
    folder = directory / FOLDER
    try:
        store = open_place(directory, secret)
        certificate = _certificate(folder, ANSWERS)
        return ServiceKeys(
            store=store,
            answer_key=store.private_key(ANSWERS),
            answer_certificate=certificate,
            answer_certificate_sha256=certificate.fingerprint(hashes.SHA256()),
            nonces=Nonces(store.working_secret(NONCES)),
            services_master=store.working_secret(SERVICES),
            cardholder_kek=_ring(store),
            _management_master=store.cmac_key(MANAGEMENT_KEYS),
            _puk_master=store.cmac_key(PUKS),
            content_signer=ContentSigner(_certificate(folder, CONTENT), store.private_key(CONTENT)),
            terminal_masters=TerminalMasters(open_terminals_place(directory, secret)),
        )
    except (FileNotFoundError, KeyNotFound) as error:
        raise NotInitialised(
            f"the service's keys in {folder} are not all there ({error}); run cardservice init"
        ) from error
    except (OSError, PkiError) as error:
        raise NotInitialised(f"the service's keys in {folder} cannot be opened: {error}") from error


def find_kek(directory: Path, secret: bytes) -> KeyRing | None:
    """The key that wraps cardholders' keys, of a service that was set up; None before. As `open_place`."""
    try:
        return _ring(open_place(directory, secret))
    except KeyNotFound:
        return None


def make_kek_version(keys: ServiceKeys) -> KeyRing:
    """A new version of the key that wraps cardholders' keys, a key of its own; the ring that has it."""
    newest = keys.cardholder_kek.newest + 1
    keys.store.generate_working_secret(kek_name(newest))
    return _ring(keys.store)


def kek_name(version: int) -> str:
    """What a version is called in the key store: the first has the bare name."""
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
        # Says which key is missing.
        found[FIRST_VERSION] = store.working_secret(kek_name(FIRST_VERSION))
    return KeyRing(found, lambda wanted: _kek(store, wanted))


def _kek(store: KeyStore, version: int) -> bytes | None:
    try:
        return store.working_secret(kek_name(version))
    except KeyNotFound:
        return None


def _certificate(folder: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(_certificate_file(folder, name).read_bytes())
