"""A scheme's directory: its description, the keys and certificates of its authorities, what is public.

scheme.json          id, name, object identifier arc, and who keeps which authority's records
root/                the root's key and records; can be carried away
authorities/         the issuing authorities' keys
certificates.sqlite  the issuing authorities' records
public/              certificates and revocation lists in PEM
"""

import json
import re
import secrets
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from pki import files
from pki.authority import Authority, random_serial
from pki.errors import AuthorityHandedOver, SchemeInvalid
from pki.issuing import self_signed_root
from pki.keys import FileKeyStore
from pki.profiles import EXAMPLE_ARC, ISSUING, ISSUING_AUTHORITY, ROOT, check_arc, usages_of_authority
from pki.sqlite_store import SqliteCertificateStore
from pki.store import CertificateStore, IssuedCertificate, StoredCrl
from pki.trail import TrailEntry
from pki.trust import TrustStore, load_certificate

AUTHORITIES = (ROOT, *ISSUING)

ISSUING_VALIDITY = timedelta(days=ISSUING_AUTHORITY.validity.value)
# The root's list says only whether an authority is revoked, and its key is fetched from a safe for each.
ROOT_CRL_VALIDITY = timedelta(days=400)

_DESCRIPTION = "scheme.json"
_FORMAT = 1
_RECORDS = "certificates.sqlite"
_SCHEME_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


@dataclass(frozen=True, slots=True)
class HandedOver:
    """What the scheme's own records held of an authority that another program takes over."""

    certificates: tuple[IssuedCertificate, ...]
    # The newest of each of its keys, so that the numbers go on from there
    crls: tuple[StoredCrl, ...]
    # To be taken over as it is, so that it goes on unbroken
    trail: tuple[TrailEntry, ...]


class Scheme:
    """An open scheme. Keys are decrypted when they are first needed, and kept for the object's life."""

    def __init__(self, directory: Path, passphrase: bytes, root_passphrase: bytes | None = None) -> None:
        description = _read_description(directory)
        self.directory = directory
        self.id: str = description["id"]
        self.name: str = description["name"]
        self.arc: str = description["oid_arc"]
        self.public_url: str | None = description["public_url"]
        self.public_dir = directory / "public"
        self.key_store = FileKeyStore(directory / "authorities", passphrase)
        self._root_key_store = FileKeyStore(directory / ROOT, root_passphrase or passphrase)
        self._certificates: dict[str, x509.Certificate] = {}
        self._keys: dict[str, ec.EllipticCurvePrivateKey] = {}

    @property
    def certificates(self) -> Mapping[str, x509.Certificate]:
        """The certificates of the root and the issuing authorities, by name; the root first."""
        return MappingProxyType({name: self._certificate(name) for name in AUTHORITIES})

    @property
    def handed_over(self) -> Mapping[str, str]:
        """The authorities whose records another program keeps, with that program's name."""
        return MappingProxyType(dict(_read_description(self.directory)["handed_over"]))

    def authority(self, name: str, store: CertificateStore | None = None) -> Authority:
        """An authority with its key; its records are in `store`, else in the scheme's directory.

        Raises AuthorityHandedOver where another program keeps the records and no store is given,
        WrongPassphrase, and KeyNotFound where the root has been carried away.
        """
        if name not in AUTHORITIES:
            raise SchemeInvalid(f"there is no authority {name!r}; there are {', '.join(AUTHORITIES)}")
        if store is None and name in self.handed_over:
            raise AuthorityHandedOver(name, self.handed_over[name])
        key = self._key(name)
        return Authority(
            name,
            self._certificate(name),
            key,
            store or self.records(name),
            arc=self.arc,
            public_url=self.public_url,
        )

    def issuers(self, name: str) -> tuple[str, ...]:
        """What the keys are called that an authority has had, the present one last."""
        return (name,)

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

    def publish_crl(self, name: str, crl: x509.CertificateRevocationList) -> None:
        """Put an authority's revocation list among what is public."""
        _publish_crl(self.public_dir, name, crl)

    def hand_over(self, names: Iterable[str], to: str) -> dict[str, HandedOver]:
        """Note that `to` keeps these authorities' records from now on; by name, what there was of each.

        From then on `authority` refuses them without a store. Doing it again for the same program returns the
        same, so that a take-over that broke off is repeated. Raises AuthorityHandedOver where another program
        has taken one.
        """
        names = tuple(names)
        if unknown := set(names) - set(ISSUING):
            raise SchemeInvalid(f"these authorities cannot be handed over: {', '.join(sorted(unknown))}")
        description = _read_description(self.directory)
        for name in names:
            if description["handed_over"].setdefault(name, to) != to:
                raise AuthorityHandedOver(name, description["handed_over"][name])
        _write_description(self.directory, description)
        return {name: self._recorded(name) for name in names}

    def _recorded(self, name: str) -> HandedOver:
        records = self.records(name)
        crls = (records.latest_crl(name, issuer) for issuer in self.issuers(name))
        return HandedOver(
            tuple(records.issued(name)),
            tuple(crl for crl in crls if crl is not None),
            tuple(records.trail(name)),
        )

    def _certificate(self, name: str) -> x509.Certificate:
        if name not in self._certificates:
            self._certificates[name] = load_certificate(self.public_dir / f"{name}.crt")
        return self._certificates[name]

    def _key(self, name: str) -> ec.EllipticCurvePrivateKey:
        if name not in self._keys:
            keys = self._root_key_store if name == ROOT else self.key_store
            self._keys[name] = keys.private_key(name)
        return self._keys[name]


def open_scheme(directory: Path, passphrase: bytes, root_passphrase: bytes | None = None) -> Scheme:
    """The scheme in this directory. Raises SchemeInvalid."""
    return Scheme(directory, passphrase, root_passphrase)


def create_scheme(
    directory: Path,
    scheme_id: str,
    name: str,
    passphrase: bytes,
    root_passphrase: bytes | None,
    moment: datetime,
    *,
    oid_arc: str = EXAMPLE_ARC,
    public_url: str | None = None,
) -> Scheme:
    """Make a scheme: a root, its issuing authorities, and a first revocation list of each.

    `directory` must not exist, or be empty; it appears whole or not at all. `public_url` is where
    certificates and lists will be fetched from, and stands in every certificate. Raises SchemeInvalid.
    """
    _check_arguments(directory, scheme_id, name, oid_arc, public_url)
    description = {
        "format": _FORMAT,
        "id": scheme_id,
        "name": name,
        "oid_arc": oid_arc,
        "public_url": public_url,
        "handed_over": {},
    }
    directory.parent.mkdir(parents=True, exist_ok=True)
    beside = directory.with_name(f".{directory.name}.{secrets.token_hex(4)}")
    beside.mkdir(mode=0o700)
    try:
        _build(beside, description, passphrase, root_passphrase or passphrase, moment)
        beside.rename(directory)  # also over an empty directory
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    files.sync_directory(directory.parent)
    return open_scheme(directory, passphrase, root_passphrase)


def _build(
    directory: Path,
    description: Mapping[str, Any],
    passphrase: bytes,
    root_passphrase: bytes,
    moment: datetime,
) -> None:
    _write_description(directory, description)
    public = directory / "public"
    public.mkdir(mode=0o755)
    name, arc = description["name"], description["oid_arc"]
    root_key = FileKeyStore(directory / ROOT, root_passphrase).generate(ROOT)
    root_certificate = self_signed_root(_subject(name, "Root"), root_key, arc, moment, random_serial())
    _publish_certificate(public, ROOT, root_certificate)
    keys = FileKeyStore(directory / "authorities", passphrase)
    scheme = Scheme(directory, passphrase, root_passphrase)
    root = scheme.authority(ROOT)
    root.record_root(moment)
    for issuing in ISSUING:
        certificate = root.issue_authority(
            _subject(name, issuing.capitalize()),
            keys.generate(issuing).public_key(),
            usages_of_authority(issuing, arc),
            identity=issuing,
            moment=moment,
            validity=ISSUING_VALIDITY,
        )
        _publish_certificate(public, issuing, certificate)
        scheme.publish_crl(issuing, scheme.authority(issuing).make_crl(moment))
    scheme.publish_crl(ROOT, root.make_crl(moment, ROOT_CRL_VALIDITY))


def _check_arguments(
    directory: Path, scheme_id: str, name: str, oid_arc: str, public_url: str | None
) -> None:
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise SchemeInvalid(f"{directory} exists already; a scheme is never written over")
    if not _SCHEME_ID.fullmatch(scheme_id):
        raise SchemeInvalid("a scheme's id is made of 1 to 32 characters a-z, 0-9 and -")
    # RFC 5280, A.1: ub-organization-name is 64
    if not 1 <= len(name) <= 50 or not name.isprintable():
        raise SchemeInvalid("a scheme's name has 1 to 50 printable characters")
    try:
        check_arc(oid_arc)
    except ValueError as error:
        raise SchemeInvalid(str(error)) from error
    if public_url is not None and not re.fullmatch(r"https?://[!-~]+[^/]", public_url):
        raise SchemeInvalid("the public URL starts with http:// or https:// and has no / at its end")


def _subject(scheme_name: str, role: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, scheme_name),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{scheme_name} {role}"),
        ]
    )


def _publish_certificate(public: Path, name: str, certificate: x509.Certificate) -> None:
    files.replace(public / f"{name}.crt", certificate.public_bytes(Encoding.PEM))


def _publish_crl(public: Path, name: str, crl: x509.CertificateRevocationList) -> None:
    files.replace(public / f"{name}.crl", crl.public_bytes(Encoding.PEM))


def _read_description(directory: Path) -> dict[str, Any]:
    path = directory / _DESCRIPTION
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SchemeInvalid(f"{directory} holds no scheme; make one with `pki init`") from error
    except (OSError, ValueError) as error:
        raise SchemeInvalid(f"{path} cannot be read: {error}") from error
    if not isinstance(description, dict) or description.get("format") != _FORMAT:
        raise SchemeInvalid(f"{path} is not in a format known here")
    return description


def _write_description(directory: Path, description: Mapping[str, Any]) -> None:
    text = json.dumps(description, indent=2, ensure_ascii=False) + "\n"
    files.replace(directory / _DESCRIPTION, text.encode())
