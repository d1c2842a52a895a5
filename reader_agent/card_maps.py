"""A card that shows its UID alone: its place by the scheme's signed map, its status by the status list.

A map and its key are fetched when a card is first looked up so, for most terminals never do. The map lies in
the agent's folder as it was signed, the key among the agent's keys under the name that the map has for it.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from pki import files
from pki.errors import CardMapUnavailable, CardUnmapped, KeyExists, KeyNotFound, PkiError
from pki.keys import FileKeyStore
from pki.status_list import CardStatus
from pki.status_list.card_map import MEDIA_TYPE, CardMap, MapKey, map_signer_sha256, open_map
from pki.status_list.fetching import Fetched
from reader_agent.errors import AgentError
from reader_agent.status_lists import StatusLists
from reader_agent.trust import SchemeTrust

log = logging.getLogger(__name__)

# Ours, as for the status list
_ASKED_AGAIN_AFTER = timedelta(minutes=5)


class MapService(Protocol):
    """Where maps and their key are had, by a terminal that may have them. Each raises AgentError."""

    def card_map(self, uri: str, headers: Mapping[str, str], /) -> Fetched:
        """The map of a status list; 304 for what is held."""
        ...

    def card_map_key(self) -> MapKey:
        """The key of all maps."""
        ...


class CardMaps:
    """Of one agent's folder."""

    def __init__(
        self,
        path_of: Callable[[str], Path],
        lists: StatusLists,
        service: MapService,
        keys: Callable[[], FileKeyStore],
    ) -> None:
        """`path_of` gives the file of a map by the number of its list."""
        self._path_of, self._lists, self._service, self._keys = path_of, lists, service, keys
        # By address
        self._held: dict[str, CardMap] = {}
        self._etags: dict[str, str] = {}
        self._asked_at: dict[str, datetime] = {}
        self._opened: dict[bytes, MapKey] = {}

    def refresh(self, trust: SchemeTrust, moment: datetime) -> None:
        """Fetch what has changed, if nobody has asked lately. Where that fails, what is held serves on."""
        for uri in trust.status_lists:
            asked = self._asked_at.get(uri)
            if asked is not None and asked <= moment < asked + _ASKED_AGAIN_AFTER:
                continue
            try:
                self._refresh(uri, trust, moment)
            except (AgentError, PkiError, OSError) as error:
                log.warning("card map: %s", error)

    def status(self, uid: bytes, trust: SchemeTrust, moment: datetime) -> CardStatus:
        """The status of the card with this UID, without fetching a map; its key is fetched where it is new.

        Raises CardUnmapped where no map has the card, CardMapStale and CardMapUnavailable where that is for
        want of a map, StatusListStale and StatusListUnavailable for want of the list, CardMapRefused, and
        what the service's client does; ValueError for what is no UID.
        """
        wanting: PkiError | None = None
        for uri in trust.status_lists:
            try:
                card_map = self._map(uri, trust, moment)
                index = card_map.index_of(uid, self._key(card_map), moment)
            except CardUnmapped:
                continue
            except PkiError as error:
                wanting = error
            else:
                return self._lists.token(uri, trust, moment).statuses.status(index)
        if not trust.status_lists:
            raise CardMapUnavailable("this scheme publishes no status lists, so no card is known by its UID")
        raise wanting or CardUnmapped("no card map has this card, so nothing is known of it")

    def _refresh(self, uri: str, trust: SchemeTrust, moment: datetime) -> None:
        try:
            held: CardMap | None = self._map(uri, trust, moment)
        except PkiError:
            held = None
        headers = {"Accept": MEDIA_TYPE}
        if held is not None and uri in self._etags:
            headers["If-None-Match"] = self._etags[uri]
        answer = self._service.card_map(uri, headers)
        self._asked_at[uri] = moment
        if answer.status == 304:
            return
        self._held[uri] = self._verified(answer.body, uri, trust, moment, held)
        files.replace(self._path(uri), answer.body, mode=0o600)
        if answer.etag is not None:
            self._etags[uri] = answer.etag

    def _map(self, uri: str, trust: SchemeTrust, moment: datetime) -> CardMap:
        if uri not in self._held:
            try:
                raw = self._path(uri).read_bytes()
            except OSError as error:
                raise CardMapUnavailable(
                    f"there is no card map of {uri} yet; connect to the service"
                ) from error
            self._held[uri] = self._verified(raw, uri, trust, moment, None)
        return self._held[uri]

    def _verified(
        self, raw: bytes, uri: str, trust: SchemeTrust, moment: datetime, newest: CardMap | None
    ) -> CardMap:
        return open_map(raw, trust.list_signer(map_signer_sha256(raw), moment), uri, newest)

    def _key(self, card_map: CardMap) -> MapKey:
        """The key of this map: from memory, the agent's keys, or the service."""
        key_id = card_map.key_id
        key = self._opened.get(key_id) or self._found_or_fetched(key_id)
        if key.key_id == key_id:  # another is that of a map which is yet to come
            self._opened[key_id] = key
        return key

    def _found_or_fetched(self, key_id: bytes) -> MapKey:
        keys, name = self._keys(), f"card-map-{key_id.hex()}"
        try:
            return MapKey(keys.secret(name))
        except KeyNotFound:
            fetched = self._service.card_map_key()
        if fetched.key_id == key_id:
            try:
                keys.keep_secret(name, fetched.secret)
            except KeyExists:  # another program was faster
                log.debug("the key of the card map is there already")
        return fetched

    def _path(self, uri: str) -> Path:
        return self._path_of(uri.rpartition("/")[2])
