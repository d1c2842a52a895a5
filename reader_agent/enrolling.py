"""A terminal's certificate from the service: by a one-time code, and anew before it ends."""

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pki.errors import PkiError
from pki.reading import read_certificate
from pki.trust import load_certificate
from pki.verification import Purpose
from reader_agent.agent import Agent
from reader_agent.config import store_certificate
from reader_agent.errors import ConfigInvalid, ServiceAnswerInvalid

# As the service does it (`cardservice.terminals.enrolment`).
RENEWED_IN_THE_LAST = 3


@dataclass(frozen=True, slots=True)
class Renewed:
    """What became of a renewal: the certificate that counts now, and whether it is another one."""

    ends: datetime
    renewed_from: datetime
    is_new: bool


def enrol_by_code(agent: Agent, code: str) -> None:
    """Have the terminal's key certified by a code that the scheme has given, and keep the certificate.

    A lost answer costs nothing: the same code again gets the same certificate. Raises ServiceUnreachable,
    ServiceProblem (`enrolment_refused`), ServiceAnswerInvalid, CertificateMismatch, and VerificationError
    where the pinned root does not vouch for it.
    """
    _keep(agent, _read(agent.client.enrol(code, _request(agent))))


def renew(agent: Agent) -> Renewed:
    """Ask for a certificate for the present key; the service gives another one once it is due.

    Raises as `enrol_by_code`.
    """
    before = present(agent)
    found = _read(agent.client.renew(_request(agent)))
    if found != before:
        _keep(agent, found)
    return Renewed(found.not_valid_after_utc, renewed_from(found), found != before)


def renew_if_due(agent: Agent) -> bool:
    """Renew the certificate if it is in its last third; whether it is another one now. Raises as `renew`."""
    return agent.now() >= renewed_from(present(agent)) and renew(agent).is_new


def present(agent: Agent) -> x509.Certificate:
    """The certificate that the terminal has. Raises ConfigInvalid where it was never enrolled."""
    try:
        return load_certificate(agent.directory.certificate_file)
    except (OSError, PkiError) as error:
        raise ConfigInvalid(f"the terminal has no certificate; run reader-agent enrol: {error}") from error


def renewed_from(certificate: x509.Certificate) -> datetime:
    """From when on the service renews a certificate."""
    lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return certificate.not_valid_after_utc - lifetime / RENEWED_IN_THE_LAST


def _request(agent: Agent) -> bytes:
    try:
        pem = agent.directory.request_file.read_bytes()
        return x509.load_pem_x509_csr(pem).public_bytes(Encoding.DER)
    except (OSError, ValueError) as error:
        raise ConfigInvalid(f"{agent.directory.request_file} cannot be used: {error}") from error


def _read(der: bytes) -> x509.Certificate:
    try:
        return read_certificate(der)
    except PkiError as error:
        raise ServiceAnswerInvalid("the certificate that it sent cannot be read") from error


def _keep(agent: Agent, certificate: x509.Certificate) -> None:
    """Believed by the pinned root alone, whoever has answered."""
    agent.fetch_trust().verify(certificate, Purpose.TERMINAL, agent.now())
    store_certificate(agent.directory, certificate)
