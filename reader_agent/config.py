"""An agent's folder: which terminal it is, of which service, with its keys and what it keeps.

agent.json     settings (no secrets)
passphrase     opens the keys; its owner alone can read it
keys/          the terminal's key, and the one that the outbox is encrypted with
root.crt       the scheme's root, pinned
terminal.csr   what the service certifies
terminal.crt   the terminal's certificate, once enrolled
trust.json     the scheme's certificates and revocation lists, fetched last
outbox.sqlite  what the terminal has to tell, or has told
status-N.cwt   the scheme's status lists, as they are signed
cards-N.cwt    from UIDs of cards to places in them, as signed; of no use without its key, which is in keys/
memory.sqlite  prices and catalogues for offline taps, and the like; may be deleted
"""

import json
import secrets
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from pki import files
from pki.errors import KeyExists, PkiError
from pki.keys import FileKeyStore, passphrase_from
from pki.statements import fields
from pki.trust import load_certificate
from reader_agent.errors import CertificateMismatch, ConfigInvalid
from reader_agent.service_client import TimeLimits

DIRECTORY_VARIABLE = "READER_AGENT_DIR"
PASSPHRASE_VARIABLE = "READER_AGENT_PASSPHRASE"  # noqa: S105 -- the name of a variable
TERMINAL_KEY, OUTBOX_KEY = "terminal", "outbox"
OUTBOX_KEY_BYTES = 32
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Settings:
    """What `agent.json` says."""

    service_url: str
    terminal: str
    # None: the one in the folder
    passphrase_file: Path | None = None
    # Authorities of the service's TLS certificate; None: the machine's
    ca_file: Path | None = None
    limits: TimeLimits = field(default_factory=TimeLimits)


@dataclass(frozen=True, slots=True)
class AgentDirectory:
    """The paths of an agent's folder."""

    path: Path

    @property
    def settings_file(self) -> Path:
        """See the module."""
        return self.path / "agent.json"

    @property
    def root_file(self) -> Path:
        """See the module."""
        return self.path / "root.crt"

    @property
    def request_file(self) -> Path:
        """See the module."""
        return self.path / "terminal.csr"

    @property
    def certificate_file(self) -> Path:
        """See the module."""
        return self.path / "terminal.crt"

    @property
    def trust_file(self) -> Path:
        """See the module."""
        return self.path / "trust.json"

    def status_list_file(self, number: str) -> Path:
        """See the module."""
        return self.path / f"status-{number}.cwt"

    def card_map_file(self, number: str) -> Path:
        """See the module."""
        return self.path / f"cards-{number}.cwt"

    @property
    def outbox_file(self) -> Path:
        """See the module."""
        return self.path / "outbox.sqlite"

    @property
    def memory_file(self) -> Path:
        """See the module."""
        return self.path / "memory.sqlite"

    @property
    def lock_file(self) -> Path:
        """Held while a tap is going on."""
        return self.path / "taps.lock"

    def settings(self) -> Settings:
        """The settings. Raises ConfigInvalid."""
        try:
            return _parse(json.loads(self.settings_file.read_text(encoding="utf-8")))
        except FileNotFoundError as error:
            raise ConfigInvalid(
                f"{self.path} is no agent's folder; make one with reader-agent init"
            ) from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigInvalid(f"{self.settings_file} cannot be used: {error}") from error

    def keys(self, settings: Settings) -> FileKeyStore:
        """The agent's keys. Raises ConfigInvalid where there is no passphrase for them."""
        own = self.path / "passphrase"
        file = settings.passphrase_file or (own if own.exists() else None)
        try:
            return FileKeyStore(self.path / "keys", passphrase_from(file, PASSPHRASE_VARIABLE))
        except PkiError as error:
            raise ConfigInvalid(f"the agent's keys cannot be opened: {error}") from error

    def root(self) -> x509.Certificate:
        """The scheme's root. Raises ConfigInvalid."""
        try:
            return load_certificate(self.root_file)
        except PkiError as error:
            raise ConfigInvalid(str(error)) from error


def create_agent(path: Path, settings: Settings, scheme_root: Path) -> AgentDirectory:
    """Make an agent's folder with keys and a certificate request; broken off, it can be called again.

    Raises ConfigInvalid, also where the folder is an agent's already.
    """
    directory = AgentDirectory(path)
    if directory.settings_file.exists():
        raise ConfigInvalid(f"{path} is an agent's folder already; use another one for another terminal")
    check_settings(settings)
    try:
        root = load_certificate(scheme_root)
        files.make_private_directory(path)
        if settings.passphrase_file is None and not (path / "passphrase").exists():
            files.write_new(path / "passphrase", secrets.token_urlsafe(32).encode(), mode=0o600)
        files.replace(directory.root_file, root.public_bytes(Encoding.PEM))
        _make_keys(directory, settings)
        # Last, for it makes the folder an agent's.
        files.replace(directory.settings_file, _render(settings))
    except (OSError, PkiError) as error:
        raise ConfigInvalid(f"{path} cannot be set up: {error}") from error
    return directory


def check_settings(settings: Settings) -> None:
    """Raises ConfigInvalid for a terminal's id or an address that cannot be used."""
    try:
        fields.identifier("the terminal's id", settings.terminal)
    except PkiError as error:
        raise ConfigInvalid(str(error)) from error
    check_service_url(settings.service_url)


def check_service_url(service_url: str) -> None:
    """Raises ConfigInvalid for an address that cannot be used."""
    url = urlsplit(service_url)
    if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment or url.username:
        raise ConfigInvalid(f"{service_url!r} is not an address like https://cards.example.org")
    if url.scheme == "http" and not _is_this_machine(url.hostname):
        raise ConfigInvalid(
            "a service on another machine needs https: without it, all on the way can read along"
        )


def store_certificate(directory: AgentDirectory, certificate: x509.Certificate) -> None:
    """Keep the terminal's certificate, if it is for this terminal and its key. Raises CertificateMismatch."""
    settings = directory.settings()
    key = directory.keys(settings).private_key(TERMINAL_KEY)
    if certificate.public_key() != key.public_key():
        raise CertificateMismatch(
            "the certificate is for another key; have terminal.csr of this folder certified"
        )
    names = [
        attribute.value for attribute in certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    ]
    if names != [settings.terminal]:
        raise CertificateMismatch(
            f"the certificate is for the terminal {names}, this is {settings.terminal!r}"
        )
    files.replace(directory.certificate_file, certificate.public_bytes(Encoding.PEM))


def _make_keys(directory: AgentDirectory, settings: Settings) -> None:
    keys = directory.keys(settings)
    try:
        key = keys.generate(TERMINAL_KEY)
    except KeyExists:
        key = keys.private_key(TERMINAL_KEY)
    try:
        keys.generate_secret(OUTBOX_KEY, OUTBOX_KEY_BYTES)
    except KeyExists:
        keys.secret(OUTBOX_KEY)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, settings.terminal)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    files.replace(directory.request_file, request.public_bytes(Encoding.PEM))


def _parse(document: dict[str, Any]) -> Settings:
    if document["format"] != _FORMAT:
        raise ValueError("it was written by another version of this program")
    paths = {name: document.get(name) for name in ("passphrase_file", "ca_file")}
    settings = Settings(
        service_url=document["service_url"],
        terminal=document["terminal"],
        limits=TimeLimits(**document["limits"]),
        **{name: None if value is None else Path(value) for name, value in paths.items()},
    )
    check_settings(settings)
    return settings


def _render(settings: Settings) -> bytes:
    document = {
        "format": _FORMAT,
        "service_url": settings.service_url,
        "terminal": settings.terminal,
        "passphrase_file": None if settings.passphrase_file is None else str(settings.passphrase_file),
        "ca_file": None if settings.ca_file is None else str(settings.ca_file),
        "limits": {"connect_s": settings.limits.connect_s, "answer_s": settings.limits.answer_s},
    }
    return json.dumps(document, indent=1).encode() + b"\n"


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
