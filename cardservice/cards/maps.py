"""The signed maps from our cards' UIDs to their places in the status lists (`pki.status_list.card_map`).

A map says what was recorded until a mark five minutes wide, so that each process says the same, and none
makes one for each card that a desk hands over.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from threading import Lock

from cryptography.hazmat.primitives.serialization import Encoding

from cardservice.cards.uids import last_recorded, uids_recorded
from cardservice.context import Context
from cardservice.keys import secret_of
from pki.status_desk import StatusDesk
from pki.status_list.card_map import CardMap, MapKey, etag_of, make_map, sign_map

# Under this name it lies beside the service's other keys, and is made when it is first needed.
MAP_KEY = "card-map"
# Ours. A report is kept a little later than the time that it bears.
_MARK, _SETTLING = timedelta(minutes=5), timedelta(seconds=10)
# Ours: as for the status list, which is of no use for a terminal without its map, and the other way round.
_VALIDITY, _PERIOD = timedelta(days=7), timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class SignedCardMap:
    """A card map as it is given out."""

    raw: bytes
    card_map: CardMap
    # Of what it says, without the signature: the same from each process that signs it
    etag: bytes


class CardMaps:
    """One map for each status list. May be used by several threads."""

    def __init__(self, context: Context, desk: StatusDesk) -> None:
        self._context, self._desk = context, desk
        self._lock = Lock()
        self._key: MapKey | None = None
        self._kept: dict[int, SignedCardMap] = {}

    def key(self) -> MapKey:
        """The key of all maps."""
        with self._lock:
            return self._opened_key()

    def signed(self, number: int) -> SignedCardMap | None:
        """The map of the status list of this number, as of now; None where there is no such list."""
        status_list = self._desk.status_list(number)
        if status_list is None:
            return None
        moment = self._context.now()
        mark = _floor(moment - _SETTLING, _MARK)
        # One at a time: who comes while it is made gets the same.
        with self._lock, self._context.database.reading() as connection:
            begun = _floor(mark, _PERIOD)
            issued_at = max(begun, last_recorded(connection, number, mark) or begun).replace(microsecond=0)
            kept = self._kept.get(number)
            if kept is not None and kept.card_map.issued_at == issued_at:
                return kept
            card_map = make_map(
                status_list.token.uri,
                uids_recorded(connection, number, mark),
                self._opened_key(),
                issued_at,
                issued_at + _VALIDITY,
            )
            self._kept[number] = signed = self._sign(card_map, moment)
        return signed

    def _sign(self, card_map: CardMap, moment: datetime) -> SignedCardMap:
        signer = self._desk.statement_signer(moment)
        thumbprint = sha256(signer.certificate.public_bytes(Encoding.DER)).digest()
        raw = sign_map(card_map, signer.key, thumbprint)
        return SignedCardMap(raw, card_map, bytes.fromhex(etag_of(card_map)))

    def _opened_key(self) -> MapKey:
        if self._key is None:
            self._key = MapKey(secret_of(self._context.keys.store, MAP_KEY))
        return self._key


def _floor(moment: datetime, period: timedelta) -> datetime:
    return moment - (moment - datetime.min.replace(tzinfo=UTC)) % period
