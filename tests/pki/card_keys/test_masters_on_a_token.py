"""Masters on a real SoftHSM2: the same keys of cards, and nobody reads the masters."""

from collections.abc import Iterator

import pytest

from pki.card_keys import (
    Credit,
    NativeAnswer,
    ServiceMaster,
    ServiceMasters,
    ServiceRole,
    ServiceSam,
    TerminalMaster,
    TerminalMasters,
    TerminalRole,
    TerminalSam,
)
from pki.card_keys.aes import encrypt_cbc
from pki.errors import KeyExists, KeyNotExtractable, KeyNotFound
from pki.token import Token
from pki.token_keys import TokenKeyStore
from tests.pki.card_keys.card import CARD_RANDOM, UID, Card
from tests.pki.card_keys.conftest import SYSTEM, TRANSPORT, Keys
from tests.pki.card_keys.test_dialogue import dialogue, run
from tests.support.softhsm import MODULE, SoftHsm

CREDIT = ServiceMaster(TRANSPORT, ServiceRole.CREDIT)
READ = TerminalMaster(TRANSPORT, TerminalRole.READ)


@pytest.fixture
def store(softhsm: SoftHsm) -> Iterator[TokenKeyStore]:
    softhsm.make_token("masters", "1234")
    token = Token(MODULE, "masters", b"1234")
    yield TokenKeyStore(token)
    token.close()


@pytest.fixture
def keys(store: TokenKeyStore) -> Keys:
    """As in the other tests, on the token."""
    service, terminals = ServiceMasters(store), TerminalMasters(store)
    for role in ServiceRole:
        service.generate(ServiceMaster(TRANSPORT, role))
    for terminal_role in TerminalRole:
        terminals.generate(TerminalMaster(TRANSPORT, terminal_role))
    return Keys(service, terminals, ServiceSam(service, SYSTEM), TerminalSam(terminals, SYSTEM))


def test_every_card_has_keys_of_its_own(keys: Keys) -> None:
    first = keys.service_sam.card_key(CREDIT, UID)
    assert len(first) == 16
    assert keys.service_sam.card_key(CREDIT, UID) == first
    assert keys.service_sam.card_key(CREDIT, bytes(7)) != first
    assert keys.terminal_sam.card_key(READ, UID) != first


def test_a_credit_under_keys_of_the_token(keys: Keys) -> None:
    card: Card = keys.card()
    from_token = dialogue(keys, Credit(TRANSPORT, 500))
    run(card, from_token)
    assert card.value == 500


def test_an_authentication_of_a_terminal(keys: Keys) -> None:
    authentication = keys.terminal_sam.authenticate(READ, UID)
    key = keys.terminal_sam.card_key(READ, UID)
    reply = authentication.challenge(NativeAnswer(0xAF, encrypt_cbc(key, bytes(16), CARD_RANDOM)))
    assert len(reply.data) == 32


def test_nothing_is_given_away(keys: Keys, store: TokenKeyStore) -> None:
    with pytest.raises(KeyNotExtractable):
        keys.terminals.release(READ)
    with pytest.raises(KeyNotExtractable):
        store.secret(CREDIT.name)
    with pytest.raises(KeyExists):
        keys.service.generate(CREDIT)
    with pytest.raises(KeyNotFound):
        keys.service.cmac(ServiceMaster(TRANSPORT, ServiceRole.CREDIT, 7), b"")
