"""Transaction MACs. The session keys are witnessed by two other projects; the input of the MAC by nobody."""

from typing import Any

import pytest

from pki.card_keys import TransactionInput, TransactionMac, TransactionMacKey
from pki.card_keys.aes import cmac, truncated
from pki.card_keys.errors import CardAnswerInvalid, CardOrderInvalid, TransactionMacInvalid
from pki.card_keys.transaction_mac import NO_READER
from tests.pki.card_keys import vectors

KEY = TransactionMacKey(bytes.fromhex("04DE5F1EACC040"), bytes.fromhex("F7D23E0C44AFADE542BFDF2DC5C6AE02"))
READER = bytes.fromhex("28BF1982BE086FBC60A22DAEB66613EE")


def key_of(vector: dict[str, Any]) -> TransactionMacKey:
    key, uid = vectors.inputs(vector, "app_transaction_mac_key", "uid")
    return TransactionMacKey(uid, key)


def counter_of(vector: dict[str, Any]) -> int:
    """TMC as the card returns it; one vector gives what was stored before."""
    if "tmc_stored" in vector["inputs"]:
        return int.from_bytes(vectors.inputs(vector, "tmc_stored")[0], "little") + 1
    return int.from_bytes(vectors.inputs(vector, "tmc_committed")[0], "little")


@vectors.of("transaction-mac")
def test_what_others_computed(vector: dict[str, Any]) -> None:
    if vector["name"] == "enc-tmri":
        # The same key as in the first vector of the group, there with its session keys
        key = TransactionMacKey(
            bytes.fromhex("04782E21801D80"), bytes.fromhex("00112233445566778899AABBCCDDEEFF")
        )
        assert key.session_keys(1)[1] == vectors.inputs(vector, "ses_tm_enc")[0]
        (encrypted,) = vectors.inputs(vector, "enc_tmri")
        assert key.previous_reader(1, encrypted) == vectors.expected(vector, "tmri_prev")
    elif "tmv" in vector["expected"]:
        # Their input is no whole number of blocks: it says something of keys and truncation alone.
        mac_key, _ = key_of(vector).session_keys(counter_of(vector))
        (data,) = vectors.inputs(vector, "tmi")
        assert truncated(cmac(mac_key, data)) == vectors.expected(vector, "tmv")
    else:
        assert key_of(vector).session_keys(counter_of(vector)) == (
            vectors.expected(vector, "ses_tm_mac"),
            vectors.expected(vector, "ses_tm_enc"),
        )


def reader(encrypted: str) -> TransactionInput:
    return TransactionInput().reader(0xC8, READER, bytes.fromhex(encrypted))


# In the words of each vector's `commands`
TRANSACTIONS = {
    "credit-file3-500": TransactionInput().value(0x0C, 3, 500),
    "debit-file3-250-writerecord": TransactionInput()
    .value(0xDC, 3, 250)
    .data_of_file(0x8B, 1, 0, bytes(range(16))),
    "writedata-25": TransactionInput().data_of_file(0x8D, 0, 0, b"\x22" * 25),
    "readdata-whole-file-48-then-debit": TransactionInput()
    .data_of_file(0xAD, 0, 0, b"\x22" * 25 + bytes(23))
    .value(0xDC, 3, 100),
    "getvalue-debit-commitreaderid-first": TransactionInput()
    .value(0x6C, 3, 1000)
    .value(0xDC, 3, 100)
    .reader(0xC8, READER, bytes.fromhex("4EA7954F94D1DA922422CF2D3314543C")),
    "limitedcredit-commitreaderid-second": TransactionInput()
    .value(0x1C, 3, 50)
    .reader(0xC8, READER, bytes.fromhex("CA2AA2D10145C9868B9EF005541D7077")),
    "updaterecord-clearrecord": TransactionInput()
    .record_update(0xDB, 1, 0, 4, bytes.fromhex("AABBCCDD"))
    .record_file_clearing(0xEB, 1),
}


@vectors.of("transaction-mac-derived")
def test_our_own_reading_of_the_data_sheet(vector: dict[str, Any]) -> None:
    """Witnesses nothing: these values come from the same text as the code."""
    assert vector["origin"] == vectors.UNWITNESSED
    transaction = TRANSACTIONS[vector["name"]]
    assert transaction.data == vectors.expected(vector, "tmi")
    found = TransactionMac(counter_of(vector), vectors.expected(vector, "tmv"))
    key_of(vector).verify(found, transaction)
    if "tmri_prev" in vector["inputs"]:
        encrypted, previous = vectors.inputs(vector, "enc_tmri", "tmri_prev")
        assert key_of(vector).previous_reader(found.counter, encrypted) == previous


class TestVerify:
    TRANSACTION = TransactionInput().value(0x0C, 2, 500)
    FOUND = TransactionMac(1, KEY.value(1, TRANSACTION))

    def test_what_the_card_committed(self) -> None:
        KEY.verify(self.FOUND, self.TRANSACTION)

    @pytest.mark.parametrize(
        "other",
        [
            TransactionInput(),
            TransactionInput().value(0x0C, 2, 501),
            TransactionInput().value(0x0C, 3, 500),
            TransactionInput().value(0x1C, 2, 500),
            TRANSACTION.value(0xDC, 2, 500),
        ],
    )
    def test_other_commands(self, other: TransactionInput) -> None:
        with pytest.raises(TransactionMacInvalid):
            KEY.verify(self.FOUND, other)

    @pytest.mark.parametrize("counter", [0, 2, 1 << 32])
    def test_another_count(self, counter: int) -> None:
        with pytest.raises(TransactionMacInvalid):
            KEY.verify(TransactionMac(counter, self.FOUND.value), self.TRANSACTION)

    def test_another_card(self) -> None:
        other = TransactionMacKey(bytes(7), bytes.fromhex("F7D23E0C44AFADE542BFDF2DC5C6AE02"))
        with pytest.raises(TransactionMacInvalid):
            other.verify(self.FOUND, self.TRANSACTION)

    @pytest.mark.parametrize("length", [0, 7, 9])
    def test_a_value_of_another_length(self, length: int) -> None:
        with pytest.raises(TransactionMacInvalid):
            KEY.verify(TransactionMac(1, bytes(length)), self.TRANSACTION)


def test_the_answer_of_a_commit() -> None:
    found = TransactionMac.from_bytes(bytes.fromhex("040302011122334455667788"))
    assert (found.counter, found.value.hex()) == (0x01020304, "1122334455667788")


@pytest.mark.parametrize("length", [0, 11, 13])
def test_what_no_commit_answers(length: int) -> None:
    with pytest.raises(CardAnswerInvalid):
        TransactionMac.from_bytes(bytes(length))


def test_records_read_inside_a_transaction() -> None:
    """ReadRecords: by the same rule as the others. MF2DL(H)x0, 10.3.4.2. Ours alone, as above."""
    transaction = TransactionInput().records(0xAB, 3, 0, 1, b"\x11" * 20)
    assert transaction.data == bytes.fromhex("AB03000000010000" + "00" * 8) + b"\x11" * 20 + bytes(12)


@pytest.mark.parametrize("amount", [-(1 << 31) - 1, 1 << 31])
def test_a_value_has_four_bytes(amount: int) -> None:
    with pytest.raises(CardOrderInvalid):
        TransactionInput().value(0x0C, 2, amount)


def test_what_is_no_place_in_a_file() -> None:
    with pytest.raises(CardOrderInvalid):
        TransactionInput().data_of_file(0x8D, 0, 1 << 24, b"")


def test_what_is_no_reader() -> None:
    with pytest.raises(CardOrderInvalid):
        TransactionInput().reader(0xC8, NO_READER, b"")
    with pytest.raises(CardAnswerInvalid):
        KEY.previous_reader(1, bytes(15))
