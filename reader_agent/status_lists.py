"""The terminal's copies of the scheme's status lists: which cards are revoked or suspended, also offline.

A copy lies in the agent's folder as it was signed. It is verified whenever it is read, and gives way to newer
ones alone.
"""

import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from pki.errors import PkiError, StatusListRefused, StatusListUnavailable
from pki.status_list.fetching import Fetch, StatusListCache
from pki.status_list.token import StatusListToken, read_token, signer_sha256
from pki.verification import StatusListEvidence
from reader_agent.trust import SchemeTrust, card_issuers

log = logging.getLogger(__name__)


class StatusLists:
    """Of one agent's folder."""

    def __init__(self, path_of: Callable[[str], Path], fetch: Fetch) -> None:
        """`path_of` gives the file of a list by its number."""
        self._path_of, self._fetch = path_of, fetch
        # By address; each knows the ETag of its copy
        self._caches: dict[str, StatusListCache] = {}
        self._asking: tuple[SchemeTrust, datetime] | None = None

    def refresh(self, trust: SchemeTrust, moment: datetime) -> None:
        """Fetch what has changed. Where that fails, the copies from before serve until they are stale."""
        self._asking = trust, moment
        for uri in trust.status_lists:
            if uri not in self._caches or self._read(uri, trust, moment) is None:
                # Also where the file was damaged or deleted since: what is in memory is of no use to others.
                self._caches[uri] = StatusListCache(uri, self._path(uri), self._signer, self._fetch)
            try:
                self._caches[uri].refresh(moment, at_once=True)
            except (PkiError, OSError) as error:
                log.warning("status list: %s", error)

    def held_by(self, trust: SchemeTrust, moment: datetime) -> SchemeTrust:
        """The same trust with what the copies say; a stale copy says that it is stale."""
        issuers, found = card_issuers(trust.store), list[StatusListEvidence]()
        for uri in trust.status_lists:
            held = self._read(uri, trust, moment)
            if held is not None:
                found += [StatusListEvidence(*held, issuer) for issuer in issuers]
        return trust.with_lists(tuple(found))

    def token(self, uri: str, trust: SchemeTrust, moment: datetime) -> StatusListToken:
        """The copy of a list, if it may be relied on. Raises StatusListUnavailable and StatusListStale."""
        held = self._read(uri, trust, moment)
        if held is None:
            raise StatusListUnavailable(uri, "there is no copy of it")
        held[0].require_current(moment)
        return held[0]

    def _read(self, uri: str, trust: SchemeTrust, moment: datetime) -> tuple[StatusListToken, bytes] | None:
        try:
            raw = self._path(uri).read_bytes()
            return read_token(raw, trust.list_signer(signer_sha256(raw), moment), uri), raw
        except FileNotFoundError:
            return None  # none was fetched yet
        except (PkiError, OSError) as error:
            log.warning("status list: %s", error)
            return None

    def _signer(self, certificate_sha256: bytes) -> ec.EllipticCurvePublicKey:
        if self._asking is None:
            raise StatusListRefused("nothing is trusted yet that could verify it")
        trust, moment = self._asking
        return trust.list_signer(certificate_sha256, moment)

    def _path(self, uri: str) -> Path:
        return self._path_of(uri.rpartition("/")[2])
