"""Whether a terminal has what a tap needs: files, certificates, time, service, readers, outbox."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from pki.errors import PkiError
from pki.trust import load_certificate
from pki.verification import Purpose
from reader_agent.agent import Agent
from reader_agent.enrolling import renewed_from
from reader_agent.errors import AgentError, PcscUnavailable, TrustMissing
from reader_agent.machine import Machine
from reader_agent.outbox_entries import EntryState
from reader_agent.trust import SchemeTrust

# An outbox that has not emptied for so long means that something besides the network is wrong.
OLDEST_OPEN = timedelta(days=1)
_OWNER_ONLY = 0o077


class Readers(Protocol):
    """What doctor wants of a machine's readers."""

    def names(self) -> tuple[str, ...]:
        """The connected readers."""
        ...


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    well: bool
    detail: str

    def as_json(self) -> dict[str, object]:
        """For scripts."""
        return {"what": self.what, "well": self.well, "detail": self.detail}


Looks = list[tuple[str, Callable[[], str]]]
OpenReaders = Callable[[], AbstractContextManager[Readers]]


def examine(agent: Agent | None, readers: OpenReaders, machine: Machine) -> list[Finding]:
    """Look at everything, or without an agent at the machine; what cannot be looked at is a finding."""
    looks: Looks = [
        ("smart card service", lambda: _pcscd(machine)),
        ("readers", lambda: _readers(readers, machine)),
    ]
    return [_look(what, look) for what, look in (looks if agent is None else _of_agent(agent) + looks)]


def _of_agent(agent: Agent) -> Looks:
    return [
        ("folder", lambda: _folder(agent)),
        ("service", lambda: _service(agent)),
        ("certificate", lambda: _certificate(agent)),
        ("revocation lists", lambda: _lists(agent)),
        ("clock", lambda: _clock(agent)),
        ("outbox", lambda: _outbox(agent)),
    ]


class _Unwell(AgentError):
    """Something is not as it should be."""

    code = "unwell"


def _look(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what, True, look())
    except (AgentError, PkiError, OSError) as error:
        return Finding(what, False, str(error))


def _folder(agent: Agent) -> str:
    path = agent.directory.path
    if path.stat().st_mode & _OWNER_ONLY:
        raise _Unwell(f"others can look into {path}; chmod 700 it")
    return str(path)


def _service(agent: Agent) -> str:
    agent.fetch_trust()
    agent.client.nonce()
    return f"{agent.settings.service_url} answers, and knows this terminal"


def _certificate(agent: Agent) -> str:
    certificate = load_certificate(agent.directory.certificate_file)
    verified = agent.stored_trust().verify(certificate, Purpose.TERMINAL, agent.now())
    if agent.now() >= renewed_from(certificate):
        ends = f"{certificate.not_valid_after_utc:%Y-%m-%d}"
        raise _Unwell(f"it ends on {ends} and was not renewed; run reader-agent renew")
    return f"{verified.identity}, until {certificate.not_valid_after_utc:%Y-%m-%d}"


def _lists(agent: Agent) -> str:
    trust: SchemeTrust = agent.stored_trust()
    ends = trust.status_ends
    if len(trust.lists) < len(trust.status_lists):
        raise _Unwell("a status list of the cards is missing; run reader-agent sync")
    if not ends or min(ends) <= agent.now():
        raise _Unwell(
            "a list of what is revoked is past its end; have the scheme renew it, then run reader-agent sync"
        )
    return f"good until {min(ends):%Y-%m-%d %H:%M} UTC"


def _clock(agent: Agent) -> str:
    try:
        agent.check_clock(agent.now())
    except TrustMissing as error:
        raise _Unwell("cannot be judged without the service's signed times") from error
    return f"{agent.now():%Y-%m-%d %H:%M:%S} UTC, not behind what the service has signed"


def _pcscd(machine: Machine) -> str:
    if (trouble := machine.trouble_with_service()) is not None:
        raise _Unwell(trouble)
    if machine.is_open_to_all:
        return (
            f"{machine.socket} answers every user of this machine; docs/reader-agent.md says how to change it"
        )
    return f"{machine.socket} answers, and not every user of this machine"


def _readers(readers: OpenReaders, machine: Machine) -> str:
    try:
        with readers() as found:
            names = found.names()
    except PcscUnavailable as error:
        raise _Unwell(f"none can be seen while pcscd does not answer ({error.detail})") from error
    if not names:
        raise _Unwell(machine.trouble_with_readers())
    return ", ".join(names)


def _outbox(agent: Agent) -> str:
    entries = agent.outbox.entries()
    waiting = [entry for entry in entries if entry.state is EntryState.OPEN]
    refused = sum(entry.state is EntryState.REFUSED for entry in entries)
    if waiting and agent.now() - waiting[0].created_at > OLDEST_OPEN:
        oldest = f"{waiting[0].created_at:%Y-%m-%d %H:%M} UTC"
        raise _Unwell(f"{len(waiting)} entries wait, the oldest since {oldest}; run reader-agent sync")
    return f"{len(entries)} entries, {len(waiting)} to be told, {refused} refused"
