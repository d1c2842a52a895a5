"""A scheme's directory: its description, the keys and certificates of its authorities, what is public.

scheme.json          id, name, object identifier arc, and who keeps which authority's records
root/                the root's key and records; can be carried away
authorities/         the issuing authorities' keys
certificates.sqlite  the issuing authorities' records
public/              certificates and revocation lists in PEM
ceremonies/          what was done with the root's key in front of whom

An authority may have had several keys. The first is called like it (`cards`), its successors `cards-2`,
`cards-3`: each is an issuer with a certificate and revocation lists of its own.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from pki import files
from pki.authority import Authority
from pki.description import TokenPlace, read_description
from pki.errors import AuthorityHandedOver, ExtraMissing, SchemeInvalid
from pki.keys import FileKeyStore, KeyStore
from pki.profiles import ISSUING, ISSUING_AUTHORITY, ROOT
from pki.sqlite_store import SqliteCertificateStore
from pki.store import CertificateStore, IssuedCertificate, StoredCrl
from pki.trail import TrailEntry
from pki.trust import TrustStore, load_certificate

AUTHORITIES = (ROOT, *ISSUING)

ISSUING_VALIDITY = timedelta(days=ISSUING_AUTHORITY.validity.value)
# Ours. The root's list says only whether an authority is revoked, and its key is in a safe.
ROOT_CRL_VALIDITY = timedelta(days=400)

_RECORDS = "certificates.sqlite"
# A passphrase or PIN, or what asks for it when a key is first used
Secret = bytes | Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class HandedOver:
    """What the scheme's own records held of an authority that another program takes over."""

    certificates: tuple[IssuedCertificate, ...]
    # Of whatever kind: the numbers go on from there, and proofs may name one
    crls: tuple[StoredCrl, ...]
    # To be taken over as it is, so that it goes on unbroken
    trail: tuple[TrailEntry, ...]


class Scheme:
    """An open scheme. Keys are decrypted when they are first needed, and kept for the object's life."""

    def __init__(
        self, directory: Path, passphrase: Secret, root_passphrase: Secret | None = None, actor: str = "pki"
    ) -> None:
        description = read_description(directory)
        self.directory = directory
        self.id = description.id
        self.name = description.name
        self.arc = description.oid_arc
        self.public_url = description.public_url
        self.token = description.token
        self.public_dir = directory / "public"
        # Whom the trail names
        self.actor = actor
        self._generations = description.generations
        self._passphrase = passphrase
        self._root_passphrase = passphrase if root_passphrase is None else root_passphrase
        self._key_stores: dict[bool, KeyStore] = {}
        self._certificates: dict[str, x509.Certificate] = {}
        self._keys: dict[str, ec.EllipticCurvePrivateKey] = {}

    @property
    def certificates(self) -> Mapping[str, x509.Certificate]:
        """The certificates of the root and the issuing authorities' present keys, by name; the root first."""
        return MappingProxyType({name: self._certificate(self.issuers(name)[-1]) for name in AUTHORITIES})

    @property
    def issuer_certificates(self) -> Mapping[str, x509.Certificate]:
        """The certificates of every key that there has been, by the issuer's name; the root first."""
        names = (issuer for name in AUTHORITIES for issuer in self.issuers(name))
        return MappingProxyType({issuer: self._certificate(issuer) for issuer in names})

    @property
    def key_store(self) -> KeyStore:
        """Where the issuing authorities' keys are. Raises PassphraseMissing."""
        return self._keys_of(root=False)

    @property
    def root_key_store(self) -> KeyStore:
        """Where the root's key is. Raises PassphraseMissing."""
        return self._keys_of(root=True)

    @property
    def handed_over(self) -> Mapping[str, str]:
        """The authorities whose records another program keeps, with that program's name."""
        return MappingProxyType(dict(read_description(self.directory).handed_over))

    def authority(self, name: str, store: CertificateStore | None = None) -> Authority:
        """An authority with its present key; its records are in `store`, else in the scheme's directory.

        Raises AuthorityHandedOver where another program keeps the records and no store is given,
        WrongPassphrase, and KeyNotFound where the root has been carried away.
        """
        _require_known(name)
        if store is None and name in self.handed_over:
            raise AuthorityHandedOver(name, self.handed_over[name])
        *former, present = self.issuers(name)
        # The key first: where the root has been carried away, its records are not there, either.
        self._key(present)
        records = store or self.records(name)
        return self._issuer(
            name, present, records, lambda: [self._issuer(name, each, records) for each in former]
        )

    def issuers(self, name: str) -> tuple[str, ...]:
        """What the keys are called that an authority has had, the present one last."""
        _require_known(name)
        return (name, *(f"{name}-{number}" for number in range(2, self._generations.get(name, 1) + 1)))

    def records(self, name: str) -> SqliteCertificateStore:
        """The records of an authority that are in the directory."""
        return SqliteCertificateStore(self.records_path(name))

    def records_path(self, name: str) -> Path:
        """The file of the records of an authority."""
        folder = self.directory / ROOT if name == ROOT else self.directory
        return folder / _RECORDS

    def trust_store(self) -> TrustStore:
        """What is public, as something to verify with."""
        return TrustStore.from_directory(self.public_dir)

    def with_successor(self, name: str, number: int) -> "Scheme":
        """The same scheme with an authority whose key is the `number`th."""
        other = Scheme(self.directory, self._passphrase, self._root_passphrase, self.actor)
        other._generations = dict(self._generations) | {name: number}
        other._key_stores, other._keys = self._key_stores, self._keys
        return other

    def publish_certificate(self, issuer: str, certificate: x509.Certificate) -> None:
        """Put an issuer's certificate among what is public."""
        files.replace(self.public_dir / f"{issuer}.crt", certificate.public_bytes(Encoding.PEM))
        self._certificates[issuer] = certificate

    def publish_crl(self, issuer: str, crl: x509.CertificateRevocationList) -> None:
        """Put an issuer's revocation list among what is public."""
        files.replace(self.public_dir / f"{issuer}.crl", crl.public_bytes(Encoding.PEM))

    def hand_over(self, names: Iterable[str], to: str) -> dict[str, HandedOver]:
        """Note that `to` keeps these authorities' records from now on; by name, what there was of each.

        From then on `authority` refuses them without a store. Doing it again for the same program returns the
        same, so that a take-over that broke off is repeated. Raises AuthorityHandedOver where another program
        has taken one.
        """
        names = tuple(names)
        if unknown := set(names) - set(ISSUING):
            raise SchemeInvalid(f"these authorities cannot be handed over: {', '.join(sorted(unknown))}")
        description = read_description(self.directory)
        given = dict(description.handed_over)
        for name in names:
            if given.setdefault(name, to) != to:
                raise AuthorityHandedOver(name, given[name])
        replace(description, handed_over=given).write(self.directory)
        return {name: self._recorded(name) for name in names}

    def _issuer(
        self,
        name: str,
        issuer: str,
        records: CertificateStore,
        predecessors: Callable[[], list[Authority]] = list,
    ) -> Authority:
        return Authority(
            name,
            self._certificate(issuer),
            self._key(issuer),
            records,
            arc=self.arc,
            public_url=self.public_url,
            issuer=issuer,
            predecessors=predecessors,
            actor=self.actor,
        )

    def _recorded(self, name: str) -> HandedOver:
        records = self.records(name)
        return HandedOver(tuple(records.issued(name)), tuple(records.crls(name)), tuple(records.trail(name)))

    def certificate_of(self, issuer: str) -> x509.Certificate:
        """The certificate of one of the keys that there have been. Raises SchemeInvalid."""
        return self._certificate(issuer)

    def _certificate(self, issuer: str) -> x509.Certificate:
        if issuer not in self._certificates:
            self._certificates[issuer] = load_certificate(self.public_dir / f"{issuer}.crt")
        return self._certificates[issuer]

    def _key(self, issuer: str) -> ec.EllipticCurvePrivateKey:
        if issuer not in self._keys:
            self._keys[issuer] = self._keys_of(root=issuer == ROOT).private_key(issuer)
        return self._keys[issuer]

    def _keys_of(self, *, root: bool) -> KeyStore:
        if root not in self._key_stores:
            folder = self.directory / (ROOT if root else "authorities")
            secret = self._root_passphrase if root else self._passphrase
            self._key_stores[root] = _open_keys(folder, self.token, secret, root=root)
        return self._key_stores[root]


def open_scheme(
    directory: Path, passphrase: Secret, root_passphrase: Secret | None = None, actor: str = "pki"
) -> Scheme:
    """The scheme in this directory. Raises SchemeInvalid."""
    return Scheme(directory, passphrase, root_passphrase, actor)


def _open_keys(folder: Path, place: TokenPlace | None, secret: Secret, *, root: bool) -> KeyStore:
    passphrase = secret if isinstance(secret, bytes) else secret()
    if place is None:
        return FileKeyStore(folder, passphrase)
    return open_token(place.module, place.root_label if root else place.label, passphrase)


def open_token(module: Path, label: str, pin: bytes) -> KeyStore:
    """The keys on a token; it is opened when one is first used. Raises PassphraseMissing and ExtraMissing."""
    try:
        # Only who has a token needs the library for it.
        from pki.token import Token  # noqa: PLC0415
        from pki.token_keys import TokenKeyStore  # noqa: PLC0415
    except ImportError as error:
        raise ExtraMissing("a token", "python-pkcs11") from error
    return TokenKeyStore(Token(module, label, pin))


def _require_known(name: str) -> None:
    if name not in AUTHORITIES:
        raise SchemeInvalid(f"there is no authority {name!r}; there are {', '.join(AUTHORITIES)}")
