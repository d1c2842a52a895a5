"""Check 2 of any request, whichever way it came: the registered terminal whose key has signed it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from cryptography.hazmat.primitives.asymmetric import ec

from cardservice.api.errors import (
    RequestDigestMismatch,
    RequestSignatureComponents,
    RequestSignatureKeyIdMalformed,
    RequestSignatureMalformed,
)
from cardservice.audit.budget import Budget
from cardservice.audit.service import SecurityEvent, record_security_event
from cardservice.context import Context
from cardservice.errors import (
    MessageRefused,
    RequestSignatureInvalid,
    RequestSignatureMissing,
    RequestSignatureStale,
    TerminalUnknown,
)
from cardservice.terminals.service import Terminal
from pki import errors as pki
from pki.request_signatures import verify_request


class Signer(Protocol):
    """Whoever signs requests: a terminal, or one of the staff."""

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The key that the requests are signed with."""


S = TypeVar("S", bound=Signer)
_INVALID: Mapping[type[pki.RequestSignatureInvalid], type[RequestSignatureInvalid]] = {
    pki.RequestSignatureInvalid: RequestSignatureInvalid,
    pki.RequestSignatureMalformed: RequestSignatureMalformed,
    pki.RequestSignatureKeyIdMalformed: RequestSignatureKeyIdMalformed,
    pki.RequestSignatureComponents: RequestSignatureComponents,
    pki.RequestDigestMismatch: RequestDigestMismatch,
}
# Finds the terminal of an identifier.
Find = Callable[[str], Terminal | None]


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """What a terminal has signed. `target`: path and query as they came, whatever a proxy says of them."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


def verified_signer(service: Context, request: SignedRequest, find: Callable[[str], S | None]) -> S:
    """The registered terminal, or whoever is known, whose key signed this request. Raises MessageRefused."""
    found: dict[str, S] = {}

    def resolve(keyid: str) -> Any:
        signer = find(keyid)
        if signer is None:
            return None
        found[keyid] = signer
        return signer.public_key

    # RFC 9421, 2.2.2: the target URI is built from the configured origin.
    uri = service.settings.public_origin + request.target
    try:
        keyid = verify_request(request.method, uri, request.headers, request.body, resolve, service.now())
    except pki.RequestSignatureMissing as error:
        raise RequestSignatureMissing(str(error)) from error
    except pki.RequestSignatureKeyUnknown as error:
        raise TerminalUnknown(error.keyid) from error
    except pki.RequestSignatureStale as error:
        raise RequestSignatureStale(str(error)) from error
    except pki.RequestSignatureInvalid as error:
        raise _INVALID[type(error)](str(error)) from error
    return found[keyid]


def note_unsigned(service: Context, budget: Budget, refusal: MessageRefused) -> None:
    """Note a request that no registered terminal has signed."""
    if not budget.take(service.now()):
        # Anybody can send what is not signed: the database is not for them to fill. The log has it all.
        return
    terminal = refusal.terminal if isinstance(refusal, TerminalUnknown) else None
    note_request(service, refusal, terminal)


def note_request(service: Context, refusal: MessageRefused, terminal_id: str | None) -> None:
    """Note a refused request as a security event."""
    event = SecurityEvent(at=service.now(), code=refusal.code, detail=str(refusal), terminal_id=terminal_id)
    with service.database.begin() as connection:
        record_security_event(connection, event)
