"""EV2 authentication against exchanges that NXP printed and that real chips had."""

from typing import Any

import pytest

from pki.card_keys import Authentication, CardKey, NativeAnswer, Session
from pki.card_keys.authentication import session_context, session_keys
from pki.card_keys.errors import CardAnswerInvalid, CardNotAuthentic, CardRefused, CardSessionEnded
from tests.pki.card_keys import vectors

KEY = CardKey(0, bytes(16))
(FIRST,) = (each for each in vectors.VECTORS if each["name"] == "an12196-table14-key0")
(NON_FIRST,) = (each for each in vectors.VECTORS if each["name"] == "an12196-table23-key0")


def begin(vector: dict[str, Any], session: Session | None = None) -> Authentication:
    key, number, random = vectors.inputs(vector, "key", "key_no", "rnd_a")
    return Authentication(CardKey(number[0], key), random, session)


def answer(vector: dict[str, Any], name: str) -> NativeAnswer:
    return NativeAnswer.from_apdu(vectors.inputs(vector, name)[0])


def keys_of(session: Session) -> tuple[bytes, bytes]:
    return session._encryption_key, session._mac_key


@vectors.of("ev2-auth-first")
def test_first(vector: dict[str, Any]) -> None:
    authentication = begin(vector)
    command = authentication.command.apdu()
    # A reader may send capabilities with the first command; we send none, and nothing else depends on it.
    assert command == bytes.fromhex(f"9071000002{vector['inputs']['key_no']}0000")
    reply = authentication.challenge(answer(vector, "r_apdu_1"))
    assert reply.apdu() == vectors.expected(vector, "c_apdu_2")
    session = authentication.finish(answer(vector, "r_apdu_2"))
    assert session.transaction_identifier == vectors.expected(vector, "ti")
    assert keys_of(session) == (
        vectors.expected(vector, "ses_auth_enc"),
        vectors.expected(vector, "ses_auth_mac"),
    )
    assert session.counter == 0
    assert session.key_number == int(vector["inputs"]["key_no"], 16)


@vectors.of("ev2-auth-nonfirst")
def test_non_first(vector: dict[str, Any]) -> None:
    """Identifier and counter stay, the keys change, and the session before ends."""
    before = Session(3, b"\x01\x02\x03\x04", bytes(16), bytes(16), counter=7)
    authentication = begin(vector, before)
    assert authentication.command.apdu() == vectors.inputs(vector, "c_apdu_1")[0]
    reply = authentication.challenge(answer(vector, "r_apdu_1"))
    assert reply.apdu() == vectors.expected(vector, "c_apdu_2")
    session = authentication.finish(answer(vector, "r_apdu_2"))
    assert keys_of(session) == (
        vectors.expected(vector, "ses_auth_enc"),
        vectors.expected(vector, "ses_auth_mac"),
    )
    assert (session.transaction_identifier, session.counter) == (b"\x01\x02\x03\x04", 7)
    assert not before.is_open


@vectors.of("ev2-session-keys")
def test_session_keys(vector: dict[str, Any]) -> None:
    key, rnd_a, rnd_b = vectors.inputs(vector, "key", "rnd_a", "rnd_b")
    context = session_context(rnd_a, rnd_b)
    assert vectors.expected(vector, "sv1") == bytes.fromhex("A55A00010080") + context
    assert vectors.expected(vector, "sv2") == bytes.fromhex("5AA500010080") + context
    assert session_keys(key, rnd_a, rnd_b) == (
        vectors.expected(vector, "ses_auth_enc"),
        vectors.expected(vector, "ses_auth_mac"),
    )


def test_a_card_without_the_key_is_noticed() -> None:
    """It cannot have read what we drew."""
    authentication = begin(FIRST)
    authentication.challenge(answer(FIRST, "r_apdu_1"))
    last = answer(FIRST, "r_apdu_2")
    with pytest.raises(CardNotAuthentic):
        authentication.finish(NativeAnswer(last.status, last.data[:-17] + bytes(17)[:1] + last.data[-16:]))
    with pytest.raises(CardSessionEnded):
        authentication.finish(last)


@pytest.mark.parametrize("status", [0xAE, 0x9D, 0x40, 0x00])
def test_an_error_instead_of_a_challenge(status: int) -> None:
    authentication = begin(FIRST)
    with pytest.raises(CardRefused) as caught:
        authentication.challenge(NativeAnswer(status, bytes(16)))
    assert caught.value.status == status


@pytest.mark.parametrize("length", [0, 15, 17, 32])
def test_a_challenge_of_another_length(length: int) -> None:
    with pytest.raises(CardAnswerInvalid):
        begin(FIRST).challenge(NativeAnswer(0xAF, bytes(length)))


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_proof_of_another_length(length: int) -> None:
    authentication = begin(FIRST)
    authentication.challenge(answer(FIRST, "r_apdu_1"))
    with pytest.raises(CardAnswerInvalid):
        authentication.finish(NativeAnswer(0x00, bytes(length)))


def test_a_failed_non_first_one_ends_the_session() -> None:
    session = Session(0, bytes(4), bytes(16), bytes(16))
    authentication = begin(NON_FIRST, session)
    with pytest.raises(CardRefused):
        authentication.challenge(NativeAnswer(0x9D))
    assert not session.is_open


def test_answers_are_used_in_order_and_once() -> None:
    authentication = begin(FIRST)
    with pytest.raises(CardSessionEnded):
        authentication.finish(answer(FIRST, "r_apdu_2"))
    authentication.challenge(answer(FIRST, "r_apdu_1"))
    with pytest.raises(CardSessionEnded):
        authentication.challenge(answer(FIRST, "r_apdu_1"))
    authentication.finish(answer(FIRST, "r_apdu_2"))
    with pytest.raises(CardSessionEnded):
        authentication.finish(answer(FIRST, "r_apdu_2"))


def test_what_cannot_begin() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        Authentication(KEY, bytes(15))
    ended = Session(0, bytes(4), bytes(16), bytes(16))
    ended.end()
    with pytest.raises(CardSessionEnded):
        Authentication(KEY, bytes(16), ended)


def test_keys_do_not_show() -> None:
    assert "00" * 16 not in repr(KEY)
    assert repr(bytes(16)) not in repr(KEY)
