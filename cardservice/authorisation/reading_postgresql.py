"""What is wanted as the arrays of `read_for_messages`, and its rows as values."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from operator import itemgetter
from typing import Any, TypeVar
from uuid import UUID

import psycopg

from cardservice.authorisation.found import CrlInForce, Found, Wanted
from cardservice.authorisation.proofs import CardCertificate
from cardservice.cards.service import Card, StateChange
from cardservice.cards.states import CardState
from cardservice.ids import CardholderId, CardId, KeyId, PayerId, ProviderId, TerminalId
from cardservice.ledger import nodes
from cardservice.ledger.posting_postgresql import is_distributed
from cardservice.ledger.prepared import Call, Row
from cardservice.ledger.privacy import StoredKey
from cardservice.ledger.values import AccountView, CounterView, LimitView, PayerView
from cardservice.ledger.wire import TYPES
from cardservice.providers.selling import Seller
from cardservice.services.seam import Entitlement
from cardservice.tariffs.service import TariffVersion
from cardservice.terminals.service import Terminal

T = TypeVar("T")

# Two kilobytes each.
TEXTS_IN_MEMORY = 4_096
# One of each key that the authority has had.
LISTS_IN_MEMORY = 16
# What the server has made begins and ends with a value: nothing is looked for around it.
_scan = json.JSONDecoder().raw_decode
_STATES = {state.value: state for state in CardState}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_NONE: frozenset[UUID] = frozenset()

# Each argument of the function: its type, and where its value comes from.
_ARGUMENTS: tuple[tuple[str, Callable[[Wanted], Any]], ...] = (
    ("text", lambda wanted: wanted.terminal_id),
    ("uuid", lambda wanted: wanted.card_id),
    ("bytea", lambda wanted: wanted.certificate_sha256),
    ("timestamptz", lambda wanted: wanted.time),
    ("uuid", lambda wanted: wanted.id),
    ("uuid", lambda wanted: wanted.other),
    ("text", lambda wanted: wanted.service),
    ("text", lambda wanted: wanted.tariff_version),
)
CALL = Call(
    b"read_for_messages",
    (
        "SELECT out_terminal, out_card, out_certificate, out_key, out_tariff, out_payers, out_crl"  # noqa: S608 - only types from above
        " FROM read_for_messages("
        + ", ".join(f"${at}::{kind}[]" for at, (kind, _) in enumerate(_ARGUMENTS, 1))
        + ")"
    ).encode(),
)


def read(connection: psycopg.Connection[Any], wanted: Sequence[Wanted]) -> list[Found]:
    """One result for each message, in their order. Raises psycopg.Error.

    On a cluster none where one of the payers lies on a node that does not answer: those are left alone.
    """
    if nodes.away() and is_distributed(connection):
        _require_nodes(connection, wanted)
    return results(wanted, CALL.on(connection, arguments(wanted)))


def _require_nodes(connection: psycopg.Connection[Any], wanted: Sequence[Wanted]) -> None:
    """Raises what a call would, without making it."""
    cards = [one.card_id for one in wanted]
    [payers] = connection.execute("SELECT payers_of_cards(%s::uuid[])", (cards,)).fetchone() or (None,)
    places = nodes.places(connection, payers or [])
    if not nodes.away().isdisjoint(place.node for place in places.values()):
        raise nodes.is_away()


def arguments(wanted: Sequence[Wanted]) -> list[bytes]:
    """The function's arguments as they are sent."""
    return [TYPES[kind].array(map(value, wanted)) for kind, value in _ARGUMENTS]


def results(wanted: Sequence[Wanted], rows: Sequence[Row]) -> list[Found]:
    """The function's rows as values."""
    return [_found(one, row) for one, row in zip(wanted, rows, strict=True)]


def _found(wanted: Wanted, row: Row) -> Found:
    terminal, card, certificate, key, tariff, payers, crl = row
    payer_id, views, known = _payers(wanted, payers)
    return Found(
        terminal=None if terminal is None else _terminal(wanted.terminal_id or "", terminal),
        card=_read(card, lambda it: _card(wanted, it)),
        certificate=None if certificate is None else _certificate(certificate),
        key=_read(key, _key),
        tariff=None if tariff is None else _tariff(wanted.service or "", tariff),
        payer_id=payer_id,
        views=views,
        known=known,
        crl=None if crl is None else _crl(crl),
    )


def _decoded(text: bytes) -> Any:
    return _scan(text.decode())[0]


def _read(text: bytes | None, of: Callable[[Any], T]) -> T | None:
    return None if text is None else of(_decoded(text))


# What comes again and again is made once of each text, which has all of it: also when it was revoked.


@lru_cache(maxsize=TEXTS_IN_MEMORY)
def _terminal(terminal_id: str, text: bytes) -> Terminal:
    provider, role, offline_limit_minor, der, revoked_at, sellers = _decoded(text)
    return Terminal(
        id=TerminalId(terminal_id),
        provider_id=ProviderId(provider),
        role=role,
        offline_limit_minor=offline_limit_minor,
        certificate_der=bytes.fromhex(der),
        revoked_at=_optional(revoked_at),
        sellers=tuple(
            Seller(service, ProviderId(seller), _moment(since), _optional(until))
            for service, seller, since, until in sellers or ()
        ),
    )


def _card(wanted: Wanted, values: list[Any]) -> Card:
    cardholder_id, kind, expires_on, category, states, allergens, entitlements = values
    return Card(
        id=CardId(wanted.card_id),
        cardholder_id=CardholderId(UUID(cardholder_id)),
        kind=kind,
        expires_on=date.fromisoformat(expires_on),
        category=category,
        states=_states(states or []),
        sealed_allergens=None if allergens is None else bytes.fromhex(allergens),
        entitlements=tuple(map(_entitlement, sorted(entitlements or (), key=itemgetter(5, 6)))),
    )


def _states(rows: list[list[Any]]) -> tuple[StateChange, ...]:
    rows.sort(key=itemgetter(1, 3))
    return tuple([StateChange(_STATES[name], _moment(at), reason) for name, at, reason, _ in rows])


def _entitlement(values: list[Any]) -> Entitlement:
    service, programme, year, first_day, review_on, recorded_at, _ = values
    return Entitlement(
        service=service,
        programme=programme,
        year=year,
        first_day=date.fromisoformat(first_day),
        review_on=date.fromisoformat(review_on),
        recorded_at=_moment(recorded_at),
    )


def _key(values: list[Any]) -> StoredKey:
    key_id, kek_version, wrapped = values
    return StoredKey(KeyId(UUID(key_id)), kek_version, None if wrapped is None else bytes.fromhex(wrapped))


@lru_cache(maxsize=TEXTS_IN_MEMORY)
def _tariff(service: str, text: bytes) -> TariffVersion:
    version, valid_from = _decoded(text)
    return TariffVersion(service, version, _moment(valid_from))


@lru_cache(maxsize=LISTS_IN_MEMORY)
def _crl(text: bytes) -> CrlInForce:
    sha256, this_update = _decoded(text)
    return CrlInForce(bytes.fromhex(sha256), _moment(this_update))


@lru_cache(maxsize=TEXTS_IN_MEMORY)
def _certificate(text: bytes) -> CardCertificate:
    sha256, issuer, identity, not_before, not_after, revoked_at = _decoded(text)
    return CardCertificate(
        sha256=bytes.fromhex(sha256),
        issuer=issuer,
        identity=identity,
        not_before=_moment(not_before),
        not_after=_moment(not_after),
        revoked_at=_optional(revoked_at),
    )


def _payers(
    wanted: Wanted, text: bytes | None
) -> tuple[PayerId | None, Mapping[PayerId, PayerView], frozenset[UUID]]:
    """Who pays at the message's time, what each of them has, and those of its ids that are taken.

    A time before the first payer's counts as the first's (`ledger.payers.payer_at`).
    """
    if text is None:
        return None, {}, _NONE
    payer: PayerId | None = None
    views: dict[PayerId, PayerView] = {}
    known: list[str] = []
    for since, values, ids in _decoded(text):
        view = _view(values)
        if payer is None or _moment(since) <= wanted.time:
            payer = view.payer_id
        views[view.payer_id] = view
        known += ids
    return payer, views, frozenset(map(UUID, known)).intersection(wanted.ids) if known else _NONE


def _view(values: list[Any]) -> PayerView:
    payer_id, version, accounts, counters, limits = values
    return PayerView(
        PayerId(UUID(payer_id)),
        version,
        tuple([AccountView(*account) for account in accounts or ()]),
        tuple(
            [
                CounterView(CardholderId(UUID(holder)), rule, period, used)
                for holder, rule, period, used in counters or ()
            ]
        ),
        tuple(
            [
                LimitView(
                    None if holder is None else CardholderId(UUID(holder)),
                    rule,
                    amount_minor,
                    _moment(valid_from),
                    _moment(recorded_at),
                )
                for holder, rule, amount_minor, valid_from, recorded_at in limits or ()
            ]
        ),
    )


def _moment(milliseconds: int) -> datetime:
    return _EPOCH + milliseconds * _MILLISECOND


def _optional(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else _moment(milliseconds)
