"""Everything that reads a card's bytes: refused, or read; and then written and read the same again."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from uuid import UUID

from reader_agent.cardspec import apdu, chaining, piv, piv_data, tlv

_READERS: tuple[Callable[[bytes], object], ...] = (
    lambda data: tlv.decode_beginning(data, piv.TAG_DATA),
    lambda data: tlv.find(data, piv.TAG_DYNAMIC_AUTHENTICATION),
    piv.decode_data,
    piv.decode_certificate,
    piv.decode_public_key,
    piv.decode_rsa_public_key,
    piv.decode_guid,
    piv_data.Discovery.decode,
)


class Codecs:
    """Reads any bytes as everything that there is."""

    def __call__(self, data: bytes) -> None:
        for read in _READERS:
            with suppress(tlv.TlvError, piv.PivDataError):
                read(data)
        _objects(data)
        _elements(data)
        _apdus(data)

    def seeds(self) -> list[bytes]:
        """One of each kind."""
        return [
            piv.Chuid(UUID(int=1), date(2031, 1, 31), issuer_signature=bytes(140)).encode(),
            piv_data.KeyHistory(1, 1, "http://example.org/keys").encode(),
            piv_data.PrintedInformation("Morgan Reed", "Citizen", "2031JAN31", "42", "Ashcombe").encode(),
            piv.encode_discovery(),
            piv.encode_data(piv.encode_certificate(bytes(300))),
            piv.encode_public_key(b"\x04" + bytes(64)),
            piv.encode_rsa_public_key(3 << 2046, 65537),
            piv.encode_application_property_template(),
            apdu.CommandApdu(0, 0xCB, 0x3F, 0xFF, piv.encode_tag_list(0x5FC102), 256).encode(),
            apdu.CommandApdu(0, 0xDB, 0x3F, 0xFF, bytes(600)).encode(extended=True),
        ]


@contextmanager
def codecs(_: Path) -> Iterator[Codecs]:
    """The target."""
    yield Codecs()


def _elements(data: bytes) -> None:
    with suppress(tlv.TlvError):
        items = tlv.decode(data)
        assert tlv.decode(b"".join(item.encode() for item in items)) == items


def _objects(data: bytes) -> None:
    with suppress(piv.PivDataError):
        chuid = piv.Chuid.decode(data)
        with suppress(piv.PivDataError):  # another length of the FASC-N can be read
            assert piv.Chuid.decode(chuid.encode()) == chuid
    with suppress(piv.PivDataError):
        history = piv_data.KeyHistory.decode(data)
        with suppress(piv.PivDataError):  # more keys than the standard allows can be read
            assert piv_data.KeyHistory.decode(history.encode()) == history
    with suppress(piv.PivDataError):
        printed = piv_data.PrintedInformation.decode(data)
        with suppress(piv.PivDataError):  # other letters can be read
            assert piv_data.PrintedInformation.decode(printed.encode()) == printed


def _apdus(data: bytes) -> None:
    with suppress(apdu.ApduError):
        command = apdu.CommandApdu.decode(data)
        assert apdu.CommandApdu.decode(command.encode(extended=True)) == command
        assert b"".join(piece.data for piece in chaining.split(command)) == command.data
    with suppress(apdu.ApduError):
        assert apdu.ResponseApdu.decode(data).encode() == data
