"""EV2 secure messaging against exchanges that NXP printed and that real chips had."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pki.card_keys import Mode, NativeAnswer, NativeCommand, Session, aes
from pki.card_keys.errors import CardAnswerInvalid, CardOrderInvalid, CardRefused, CardSessionEnded
from tests.pki.card_keys import vectors

# `none`: the chip answers with its status alone
MODES = {"plain": Mode.PLAIN, "none": Mode.PLAIN, "mac": Mode.MAC, "full": Mode.FULL}
(READ,) = (each for each in vectors.VECTORS if each["name"] == "an12343-table26-readdata-full")


def session_of(vector: dict[str, Any]) -> Session:
    encryption, mac, identifier = vectors.inputs(vector, "ses_auth_enc", "ses_auth_mac", "ti")
    return Session(0, identifier, encryption, mac, counter=int(vector["inputs"]["cmd_ctr"]))


def wrapped(session: Session, vector: dict[str, Any]) -> NativeCommand:
    instruction, header, data = vectors.inputs(vector, "ins", "cmd_header", "cmd_data_plain")
    return session.wrap(instruction[0], header, data, MODES[vector["inputs"]["comm_mode_command"]])


def answer_of(vector: dict[str, Any]) -> NativeAnswer:
    return NativeAnswer.from_apdu(vectors.inputs(vector, "r_apdu")[0])


@vectors.of("ev2-exchange")
def test_exchange(vector: dict[str, Any]) -> None:
    session = session_of(vector)
    before = session.counter
    assert wrapped(session, vector).apdu() == vectors.expected(vector, "c_apdu")
    if not vector["inputs"]["r_apdu"]:  # the command alone was printed
        return
    plain = session.unwrap(answer_of(vector), MODES[vector["inputs"]["comm_mode_response"]])
    assert plain == vectors.expected(vector, "response_plain")
    assert session.counter == before + 1


@vectors.of("ev2-iv")
def test_initialisation_vector(vector: dict[str, Any]) -> None:
    encryption, identifier = vectors.inputs(vector, "ses_auth_enc", "ti")
    session = Session(0, identifier, encryption, bytes(16))
    assert session._iv(b"\xa5\x5a", int(vector["inputs"]["cmd_ctr"])) == vectors.expected(
        vector, "iv_command"
    )


@vectors.of("ev2-response-decrypt")
def test_an_answer_without_padding(vector: dict[str, Any]) -> None:
    """CommitReaderID's alone; its MAC was not printed, so it is made here, and only the text is witnessed."""
    encryption, identifier, encrypted = vectors.inputs(vector, "ses_auth_enc", "ti", "encrypted_response")
    session = Session(0, identifier, encryption, bytes(16), int(vector["inputs"]["cmd_ctr_response"]) - 1)
    session.wrap(0xC8, b"", bytes(16), Mode.MAC)
    mac = session._mac(0x00, session.counter + 1, encrypted)
    text = session.unwrap(NativeAnswer(0x00, encrypted + mac), Mode.FULL, padded=False)
    assert text == vectors.expected(vector, "enc_tmri")


@vectors.of("crc32-jam")
def test_checksum_of_a_key(vector: dict[str, Any]) -> None:
    (data,) = vectors.inputs(vector, "data")
    assert aes.crc32_jam(data) == vectors.expected(vector, "crc32nk")


@vectors.of("iso-wrap")
def test_wrapping(vector: dict[str, Any]) -> None:
    instruction, data = vectors.inputs(vector, "ins", "data")
    assert NativeCommand(instruction[0], data).apdu() == vectors.expected(vector, "c_apdu")


def test_a_command_is_one_apdu_or_none() -> None:
    assert len(NativeCommand(0x8D, bytes(255)).apdu()) == 261
    with pytest.raises(CardOrderInvalid):
        NativeCommand(0x8D, bytes(256)).apdu()


@pytest.mark.parametrize("apdu", ["", "91", "9000", "6a82", "0091", "91009000"])
def test_what_is_no_native_answer(apdu: str) -> None:
    with pytest.raises(CardAnswerInvalid):
        NativeAnswer.from_apdu(bytes.fromhex(apdu))


class TestSessionEnds:
    """An error, or an answer that is not authentic: after it nothing is sent any more."""

    @pytest.mark.parametrize("status", [0x9D, 0xAE, 0x1E, 0xBE, 0xAF])
    def test_by_an_error_status(self, status: int) -> None:
        session = session_of(READ)
        wrapped(session, READ)
        with pytest.raises(CardRefused) as caught:
            session.unwrap(NativeAnswer(status), Mode.FULL)
        assert caught.value.status == status
        self.assert_ended(session)

    @pytest.mark.parametrize("position", range(0, len(bytes.fromhex(READ["inputs"]["r_apdu"])) - 2, 5))
    def test_by_a_changed_byte(self, position: int) -> None:
        session = session_of(READ)
        wrapped(session, READ)
        data = bytearray(answer_of(READ).data)
        data[position] ^= 0x01
        with pytest.raises(CardAnswerInvalid):
            session.unwrap(NativeAnswer(0x00, bytes(data)), Mode.FULL)
        self.assert_ended(session)

    @pytest.mark.parametrize("length", [0, 7, 8, 16, 40])
    def test_by_a_shortened_answer(self, length: int) -> None:
        session = session_of(READ)
        wrapped(session, READ)
        with pytest.raises(CardAnswerInvalid):
            session.unwrap(NativeAnswer(0x00, answer_of(READ).data[:length]), Mode.FULL)
        self.assert_ended(session)

    def test_by_the_answer_to_another_command(self) -> None:
        """The counter is part of every MAC, so yesterday's answer is none."""
        session = session_of(READ)
        wrapped(session, READ)
        session.unwrap(answer_of(READ), Mode.FULL)
        wrapped(session, READ)
        with pytest.raises(CardAnswerInvalid):
            session.unwrap(answer_of(READ), Mode.FULL)
        self.assert_ended(session)

    def test_when_the_counter_is_used_up(self) -> None:
        session = Session(0, bytes(4), bytes(16), bytes(16), counter=0xFFFF)
        with pytest.raises(CardSessionEnded):
            session.wrap(0x6C, b"\x02", b"", Mode.MAC)
        self.assert_ended(session)

    def assert_ended(self, session: Session) -> None:
        assert not session.is_open
        with pytest.raises(CardSessionEnded):
            session.wrap(0x6C, b"\x02", b"", Mode.PLAIN)
        with pytest.raises(CardSessionEnded):
            session.unwrap(NativeAnswer(0x00), Mode.PLAIN)


def test_one_command_at_a_time() -> None:
    session = session_of(READ)
    with pytest.raises(CardSessionEnded):
        session.unwrap(answer_of(READ), Mode.FULL)
    wrapped(session, READ)
    with pytest.raises(CardSessionEnded):
        wrapped(session, READ)


@given(st.binary(max_size=64))
def test_padding_is_undone(data: bytes) -> None:
    padded = aes.padded(data)
    assert len(padded) % 16 == 0
    assert len(padded) > len(data)
    assert aes.unpadded(padded) == data


@pytest.mark.parametrize("block", ["", "00" * 16, "80" + "00" * 16, "01" * 16, "80" + "00" * 14 + "01"])
def test_what_is_not_padded(block: str) -> None:
    with pytest.raises(ValueError, match="padding"):
        aes.unpadded(bytes.fromhex(block))
