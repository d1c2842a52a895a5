"""A card's half of EV2, written from the data sheet for these tests and sharing no line with `pki`.

It holds one application with a value file, a file of entitlements and a file of Transaction MACs. What it has
in common with a real card ends with the commands of the service's orders.
"""

from dataclasses import dataclass, field
from zlib import crc32

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC

UID = bytes.fromhex("04DE5F1EACC040")
CARD_RANDOM = bytes(range(0x40, 0x50))
IDENTIFIER = bytes.fromhex("7614281A")


@dataclass
class Card:
    """State and session of a card on a reader."""

    application: bytes
    keys: dict[int, bytes]
    mac_key: bytes
    versions: dict[int, int] = field(default_factory=dict)
    value: int = 0
    entitlements: bytes = bytes(1000)
    commits: int = 0
    reader: bytes = bytes(16)
    # A status to answer the next command of this instruction with
    refuse: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._authenticating: tuple[int, bytes] | None = None
        self._session: tuple[int, bytes, bytes] | None = None
        self._counter = 0
        self._pending: list[bytes] = []
        self._pending_value = 0
        self._pending_reader: bytes | None = None
        self._pending_write: tuple[int, bytes] | None = None

    def send(self, apdu: bytes) -> bytes:
        """The answer to a wrapped native command."""
        assert apdu[:1] == b"\x90"
        assert apdu[2:4] == b"\x00\x00"
        assert apdu[-1:] == b"\x00"
        data = apdu[5:-1]
        assert len(data) == (apdu[4] if len(apdu) > 5 else 0)
        instruction = apdu[1]
        if instruction in self.refuse:
            self._session = None
            return bytes([0x91, self.refuse[instruction]])
        return self._answer(instruction, data)

    def _answer(self, instruction: int, data: bytes) -> bytes:
        match instruction:
            case 0x5A:
                self._session = None
                return b"\x91\x00" if data == self.application else b"\x91\xa0"
            case 0x71:
                assert data[1:] == b"\x00"
                self._authenticating = (data[0], CARD_RANDOM)
                return _cbc(self.keys[data[0]], bytes(16), CARD_RANDOM) + b"\x91\xaf"
            case 0xAF:
                return self._prove(data)
        return self._in_session(instruction, data)

    def _prove(self, data: bytes) -> bytes:
        assert self._authenticating is not None
        number, mine = self._authenticating
        key = self.keys[number]
        text = _cbc(key, bytes(16), data, decrypt=True)
        theirs = text[:16]
        if text[16:] != mine[1:] + mine[:1]:
            return b"\x91\xae"
        mixed = int.from_bytes(theirs[2:8], "big") ^ int.from_bytes(mine[:6], "big")
        context = theirs[:2] + mixed.to_bytes(6, "big") + mine[6:] + theirs[8:]
        encryption = _cmac(key, bytes.fromhex("A55A00010080") + context)
        mac = _cmac(key, bytes.fromhex("5AA500010080") + context)
        self._session, self._counter = (number, encryption, mac), 0
        answer = IDENTIFIER + theirs[1:] + theirs[:1] + bytes(12)
        return _cbc(key, bytes(16), answer) + b"\x91\x00"

    def _in_session(self, instruction: int, data: bytes) -> bytes:
        if self._session is None:
            return b"\x91\xae"
        number, _, _ = self._session
        body, mac = data[:-8], data[-8:]
        if mac != self._mac(bytes([instruction]), body):
            self._session = None
            return b"\x91\x1e"
        header = {0x0C: 1, 0x6C: 1, 0x8D: 7, 0xC4: 1, 0xC7: 1, 0xC8: 16}[instruction]
        head, encrypted = body[:header], body[header:]
        text = self._decrypted(encrypted) if encrypted else b""
        self._counter += 1
        answer, encrypt = self._execute(instruction, head, text)
        if instruction == 0xC4 and head[0] == number:
            self._session = None
            return b"\x91\x00"
        if encrypt:
            _, encryption, _ = self._session
            iv = b"\x5a\xa5" + IDENTIFIER + self._counter.to_bytes(2, "little") + bytes(8)
            answer = _cbc(encryption, _ecb(encryption, iv), answer)
        return answer + self._mac(b"\x00", answer) + b"\x91\x00"

    def _execute(self, instruction: int, head: bytes, text: bytes) -> tuple[bytes, bool]:
        """The answer, padded if it is to be encrypted, and whether it is."""
        match instruction:
            case 0xC8:
                self._pending_reader = head
                session_key = self._transaction_key(b"\xa5")
                encrypted = _cbc(session_key, bytes(16), self.reader)
                self._pending.append((b"\xc8" + head + encrypted).ljust(48, b"\x00"))
                return encrypted, True
            case 0x6C:
                value = self.value.to_bytes(4, "little", signed=True)
                self._pending.append((b"\x6c" + head + value).ljust(16, b"\x00"))
                return value + b"\x80" + bytes(11), True
            case 0x0C:
                self._pending_value += int.from_bytes(text, "little", signed=True)
                self._pending.append((b"\x0c" + head + text).ljust(16, b"\x00"))
            case 0x8D:
                self._pending_write = (int.from_bytes(head[1:4], "little"), text)
                assert len(text) == int.from_bytes(head[4:7], "little")
                content = text + bytes(-len(text) % 16)
                self._pending.append((b"\x8d" + head).ljust(16, b"\x00") + content)
            case 0xC4:
                self._change_key(head[0], text)
            case 0xC7:
                assert head == b"\x01"
                return self._commit(), False
        return b"", False

    def _change_key(self, number: int, text: bytes) -> None:
        assert self._session is not None
        if number == self._session[0]:
            new, version = text[:16], text[16]
            assert len(text) == 17
        else:
            masked, version, checksum = text[:16], text[16], text[17:]
            new = bytes(a ^ b for a, b in zip(masked, self.keys[number], strict=True))
            assert checksum == (~crc32(new) & 0xFFFFFFFF).to_bytes(4, "little")
        self.keys[number], self.versions[number] = new, version

    def _commit(self) -> bytes:
        value = _cmac(self._transaction_key(b"\x5a"), b"".join(self._pending))[1::2]
        self.commits += 1
        self.value += self._pending_value
        if self._pending_reader is not None:
            self.reader = self._pending_reader
        if self._pending_write is not None:
            offset, content = self._pending_write
            self.entitlements = (
                self.entitlements[:offset] + content + self.entitlements[offset + len(content) :]
            )
        self._pending, self._pending_value = [], 0
        self._pending_reader = self._pending_write = None
        return self.commits.to_bytes(4, "little") + value

    def _transaction_key(self, label: bytes) -> bytes:
        return _cmac(
            self.mac_key, label + b"\x00\x01\x00\x80" + (self.commits + 1).to_bytes(4, "little") + UID
        )

    def _mac(self, code: bytes, data: bytes) -> bytes:
        assert self._session is not None
        counter = self._counter.to_bytes(2, "little")
        return _cmac(self._session[2], code + counter + IDENTIFIER + data)[1::2]

    def _decrypted(self, data: bytes) -> bytes:
        assert self._session is not None
        encryption = self._session[1]
        iv = b"\xa5\x5a" + IDENTIFIER + self._counter.to_bytes(2, "little") + bytes(8)
        text = _cbc(encryption, _ecb(encryption, iv), data, decrypt=True)
        return text[: text.rindex(b"\x80")]


def _cmac(key: bytes, data: bytes) -> bytes:
    mac = CMAC(algorithms.AES(key))
    mac.update(data)
    return mac.finalize()


def _ecb(key: bytes, block: bytes) -> bytes:
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 -- one block, as specified
    return encryptor.update(block) + encryptor.finalize()


def _cbc(key: bytes, iv: bytes, data: bytes, *, decrypt: bool = False) -> bytes:
    cipher = Cipher(algorithms.AES(key), modes.CBC(iv))
    context = cipher.decryptor() if decrypt else cipher.encryptor()
    return context.update(data) + context.finalize()
