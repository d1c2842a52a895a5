"""`init`, `enrol`, `renew` and `doctor`: a terminal's agent from nothing, and whether it is well."""

import sys
from contextlib import nullcontext
from pathlib import Path

import click
from cryptography import x509

from pki.trust import load_certificate
from pki.verification import Purpose, verify
from reader_agent.agent import Agent
from reader_agent.commands import common
from reader_agent.config import DIRECTORY_VARIABLE, AgentDirectory, Settings, create_agent, store_certificate
from reader_agent.doctor import examine
from reader_agent.enrolling import enrol_by_code, renew
from reader_agent.errors import ServiceUnreachable
from reader_agent.machine import Machine

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@common.directory_argument
@click.option("--service-url", required=True, help="the card service, like https://cards.example.org")
@click.option("--terminal", required=True, help="the terminal's id, as the service will know it")
@click.option("--scheme-root", type=_FILE, required=True, help="the scheme's root certificate")
@click.option("--passphrase-file", type=_FILE, help="opens the keys (default: one is made in the folder)")
@click.option("--ca-file", type=_FILE, help="authorities of the service's TLS certificate")
@common.as_json_option
@common.telling_errors
def init(
    directory: Path,
    service_url: str,
    terminal: str,
    scheme_root: Path,
    passphrase_file: Path | None,
    ca_file: Path | None,
    as_json: bool,
) -> None:
    """Make a terminal's key, and the request that the service certifies."""
    settings = Settings(
        service_url=service_url.rstrip("/"),
        terminal=terminal,
        passphrase_file=None if passphrase_file is None else passphrase_file.resolve(),
        ca_file=None if ca_file is None else ca_file.resolve(),
    )
    csr = create_agent(directory, settings, scheme_root).request_file
    common.show(
        as_json,
        {"agent": str(directory), "terminal": terminal, "csr": str(csr)},
        [
            "The terminal's key is made. With a code of the scheme's (cardservice terminal invite):",
            f"  reader-agent enrol {directory} --code",
            f"Without one, have {csr} certified:",
            f"  cardservice terminal add {terminal} --csr {csr} --provider … --role … --out FILE",
            f"  reader-agent enrol {directory} --certificate FILE",
        ],
    )


@click.command()
@common.directory_argument
@click.option("--certificate", type=_FILE, help="what the service issued")
@click.option(
    "--code",
    "by_code",
    is_flag=True,
    help="ask for the scheme's one-time code",
)
@common.as_json_option
@common.telling_errors
def enrol(directory: Path, certificate: Path | None, by_code: bool, as_json: bool) -> None:
    """Take the terminal's certificate, and the scheme's certificates if the service answers.

    With --code the service certifies the terminal's key itself; the code is typed, and is in no argument.
    """
    if by_code is (certificate is not None):
        raise click.UsageError("name the --certificate, or enrol by --code")
    with common.open_agent(directory) as agent:
        if certificate is None:
            enrol_by_code(agent, _typed_code())
            words = f"The terminal {agent.terminal} is enrolled."
            common.show(as_json, {"terminal": agent.terminal, "verified": True}, [words])
            return
        found = load_certificate(certificate)
        is_verified = _is_verified(agent, found)
        store_certificate(AgentDirectory(directory), found)
        common.show(
            as_json,
            {"terminal": agent.terminal, "verified": is_verified},
            [
                f"The terminal {agent.terminal} is enrolled."
                if is_verified
                else "The certificate is kept, but the service does not answer; run reader-agent sync later."
            ],
        )


@click.command("renew")
@common.directory_argument
@common.as_json_option
@common.telling_errors
def renew_certificate(directory: Path, as_json: bool) -> None:
    """Have the terminal's certificate renewed for the key that it has, once it is in its last third.

    Sync and the daemon do that by themselves.
    """
    with common.open_agent(directory) as agent:
        found = renew(agent)
    words = f"good until {found.ends:%Y-%m-%d}; it can be renewed from {found.renewed_from:%Y-%m-%d} on"
    common.show(
        as_json,
        {"terminal": agent.terminal, "renewed": found.is_new, "ends": found.ends.isoformat()},
        [f"Renewed, {words}." if found.is_new else f"The certificate is {words}."],
    )


@click.command()
@click.option(
    "--agent",
    "directory",
    type=click.Path(path_type=Path),
    envvar=DIRECTORY_VARIABLE,
    help=f"the agent's folder (or {DIRECTORY_VARIABLE}); without one, the machine alone is looked at",
)
@common.as_json_option
@common.telling_errors
def doctor(directory: Path | None, as_json: bool) -> None:
    """Look at everything that a tap needs; exit status 1 if something is wrong."""
    with nullcontext() if directory is None else common.open_agent(directory) as agent:
        findings = examine(agent, common.readers, Machine.this())
    common.show(
        as_json,
        {"well": all(finding.well for finding in findings), "findings": [f.as_json() for f in findings]},
        [f"{'ok ' if finding.well else 'BAD'} {finding.what}: {finding.detail}" for finding in findings],
    )
    if not all(finding.well for finding in findings):
        raise SystemExit(common.STATUS_ERROR)


def _typed_code() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().strip()
    code: str = click.prompt("The code", hide_input=True, err=True)
    return code


def _is_verified(agent: Agent, certificate: x509.Certificate) -> bool:
    """Whether the scheme vouches for it; not, where the service cannot be asked. Raises VerificationError."""
    try:
        trust = agent.fetch_trust()
    except ServiceUnreachable:
        return False
    verify(certificate, Purpose.TERMINAL, agent.now(), trust.store)
    return True
