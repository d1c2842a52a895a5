"""What a desk is told to write to a card: read back here by the agent's codec, and verified by openssl."""

import subprocess
from datetime import date
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from PIL import Image
from sqlalchemy import select

from cardservice.audit.models import audit
from cardservice.cardholders import photos
from cardservice.cardholders.service import NewCardholder, add_cardholder, set_photo
from cardservice.cards import facial_image, personalisation, piv_objects
from cardservice.cards.piv_objects import CardFace
from cardservice.ids import CardholderId
from pki import cms, der
from pki.verification import Purpose, verify
from tests.support.council import ACTOR, Council, Terminal, from_base64url, new_id

MAX_FACIAL_IMAGE = 12_704  # SP 800-73-5 part 1, table 7
NAME = "Zoë Łukasz-O\u2019Brien"


@pytest.fixture
def desk(council: Council) -> Terminal:
    """The council's issuing desk."""
    return council.terminal("desk-1", "issuer")


@pytest.fixture
def holder(council: Council) -> CardholderId:
    """Somebody whose name is not ASCII."""
    with council.context.database.begin() as connection:
        kek = council.kek
        new = NewCardholder(NAME, "adult")
        return add_cardholder(connection, new, "GBP", kek, actor=ACTOR, moment=council.clock())[0]


@pytest.fixture
def order(council: Council, holder: CardholderId) -> personalisation.Order:
    """An open order."""
    with council.context.database.begin() as connection:
        return personalisation.order_card(connection, holder, "citizen", actor=ACTOR, moment=council.clock())


def contents(desk: Terminal, order: UUID) -> dict[int, bytes]:
    """What the desk is told."""
    told = desk.get(f"/v1/personalisation-orders/{order}/contents").json["objects"]
    return {int(each["tag"], 16): from_base64url(each["content"]) for each in told}


def elements(content: bytes) -> dict[int, bytes]:
    """The elements of an object; all their tags are of one byte."""
    found, at = {}, 0
    while at < len(content):
        size, start = content[at + 1], at + 2
        if size & 0x80:
            octets = size & 0x7F
            size, start = int.from_bytes(content[start : start + octets]), start + octets
        found[content[at]] = content[start : start + size]
        at = start + size
    return found


def noise(width: int, height: int) -> bytes:
    """A photo that compresses badly, as `photos` keeps one."""
    picture = Image.effect_noise((width, height), 90).convert("RGB")
    file = BytesIO()
    picture.save(file, "PNG")
    return photos.prepared(file.getvalue())


def test_the_identity_is_the_order_s(council: Council, desk: Terminal, order: personalisation.Order) -> None:
    """CHUID: number, date, and a signature over all but itself, by a certificate of the scheme."""
    found = contents(desk, order.id)
    assert set(found) == {
        piv_objects.CHUID,
        piv_objects.PRINTED_INFORMATION,
        piv_objects.KEY_HISTORY,
        piv_objects.SECURITY_OBJECT,
    }
    chuid = elements(found[piv_objects.CHUID])
    assert list(chuid) == [0x30, 0x34, 0x35, 0x3E, 0xFE]
    assert (chuid[0x34], chuid[0x35]) == (order.card_id.bytes, b"20310615")
    signer = cms.carried_certificate(chuid[0x3E])
    held = verify(signer, Purpose.CONTENT_SIGNER, council.clock(), council.context.pki.trust_store())
    assert held.identity == "cardservice-content"
    whole = found[piv_objects.CHUID]
    signed = whole.replace(der.tlv(0x3E, chuid[0x3E]), b"")
    cms.verify(
        chuid[0x3E],
        cms.SignedContent(kind=cms.CHUID_OBJECT, content=signed, is_enclosed=False, carries_certificate=True),
        signer,
    )


def test_the_same_is_told_again(desk: Terminal, order: personalisation.Order) -> None:
    """A desk that resumes writes nothing anew."""
    assert contents(desk, order.id) == contents(desk, order.id)


def test_printed_information_is_ascii(desk: Terminal, order: personalisation.Order) -> None:
    """As near as it comes."""
    printed = elements(contents(desk, order.id)[piv_objects.PRINTED_INFORMATION])
    assert printed[0x01] == b"Zoe ?ukasz-O?Brien"
    assert (printed[0x02], printed[0x04]) == (b"citizen", b"2031JUN15")
    assert len(printed[0x06]) <= 15


def openssl_verifies(council: Council, folder: Path, signature: bytes, content: bytes | None) -> bytes:
    """The content that openssl has verified."""
    certificates = council.context.certificates
    signer = council.context.keys.content_signer.certificate
    (folder / "signed.der").write_bytes(signature)
    authorities = [certificates["root"], certificates["service"]]
    (folder / "authorities.pem").write_bytes(
        b"".join(each.public_bytes(Encoding.PEM) for each in authorities)
    )
    (folder / "signer.pem").write_bytes(signer.public_bytes(Encoding.PEM))
    command = [
        "openssl",
        "cms",
        "-verify",
        "-binary",
        "-inform",
        "DER",
        "-in",
        "signed.der",
        "-purpose",
        "any",
    ]
    command += ["-CAfile", "authorities.pem", "-certfile", "signer.pem", "-out", "out.bin"]
    command += ["-attime", str(int(council.clock().timestamp()))]
    if content is not None:
        (folder / "content.bin").write_bytes(content)
        command += ["-content", "content.bin"]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return (folder / "out.bin").read_bytes()


def test_openssl_verifies_every_signature(
    council: Council, desk: Terminal, holder: CardholderId, order: personalisation.Order, tmp_path: Path
) -> None:
    """CHUID, photo and security object; and the security object's hashes are those of the others."""
    with council.context.database.begin() as connection:
        set_photo(
            connection,
            council.kek,
            holder,
            noise(480, 640),
            actor=ACTOR,
            moment=council.clock(),
        )
    found = contents(desk, order.id)
    chuid = elements(found[piv_objects.CHUID])
    signed = b"".join(der.tlv(tag, chuid[tag]) for tag in (0x30, 0x34, 0x35, 0xFE))
    assert openssl_verifies(council, tmp_path, chuid[0x3E], signed) == signed
    cbeff = elements(found[piv_objects.FACIAL_IMAGE])[0xBC]
    record_length, signature_length = int.from_bytes(cbeff[2:6]), int.from_bytes(cbeff[6:8])
    assert len(cbeff) == 88 + record_length + signature_length
    signed, signature = cbeff[: 88 + record_length], cbeff[88 + record_length :]
    assert openssl_verifies(council, tmp_path, signature, signed) == signed
    security = elements(found.pop(piv_objects.SECURITY_OBJECT))
    hashed = openssl_verifies(council, tmp_path, security[0xBB], None)
    containers = {
        0x3000: piv_objects.CHUID,
        0x3001: piv_objects.PRINTED_INFORMATION,
        0x6030: piv_objects.FACIAL_IMAGE,
        0x6060: piv_objects.KEY_HISTORY,
    }
    numbers = {
        security[0xBA][at]: containers[int.from_bytes(security[0xBA][at + 1 : at + 3])]
        for at in range(0, len(security[0xBA]), 3)
    }
    assert set(numbers.values()) == set(found)
    _, _, groups = der.read(hashed).children(3)
    for group in groups.children(16):
        number, digest = group.children(2)
        assert digest.content == sha256(found[numbers[number.integer()]]).digest()


@pytest.mark.parametrize("size", [(480, 640), (120, 160)], ids=str)
def test_a_photo_fits_on_a_card(size: tuple[int, int]) -> None:
    """Made smaller where it must be; it is the picture that is in the record."""
    photo = noise(*size)
    fitting = facial_image.fitting(photo)
    assert len(fitting) <= facial_image.MAX_JPEG_BYTES
    assert (fitting == photo) is (len(photo) <= facial_image.MAX_JPEG_BYTES)
    record = facial_image.facial_record(fitting)
    assert record[:8] == b"FAC\x00010\x00"
    assert int.from_bytes(record[8:12]) == len(record)
    with Image.open(BytesIO(record[46:])) as picture:
        assert picture.size == (int.from_bytes(record[36:38]), int.from_bytes(record[38:40]))


def test_the_largest_photo_s_object_fits(council: Council) -> None:
    """With header and signature it is within the container."""
    face = CardFace(new_id(), "citizen", date(2031, 6, 15), date(2026, 6, 15), "ashcombe", NAME, None)
    with BytesIO() as file:
        Image.new("RGB", (120, 160)).save(file, "JPEG")
        jpeg = file.getvalue()
    # What stands after the end of a picture is not looked at
    largest = jpeg.ljust(facial_image.MAX_JPEG_BYTES, b"\x00")
    signer = council.context.keys.content_signer
    assert len(piv_objects.facial_image(face, largest, signer)) <= MAX_FACIAL_IMAGE


def audited(council: Council) -> set[tuple[str, str]]:
    """Who did what, in the audit log."""
    with council.context.database.reading() as connection:
        return {(row.actor, row.action) for row in connection.execute(select(audit.c.actor, audit.c.action))}


def test_reading_is_written_down(council: Council, desk: Terminal, order: personalisation.Order) -> None:
    """It holds the holder's name and photo."""
    contents(desk, order.id)
    assert ("terminal:desk-1", "cardholder.print") in audited(council)


def test_a_puk_is_told_to_a_desk_and_written_down(council: Council, desk: Terminal) -> None:
    """The one that the card was made with, and only while somebody has the card."""
    card = council.card()
    told = desk.post("/v1/card-puks", {"card": str(card.id)})
    assert told.json == {"card": str(card.id), "puk": council.context.keys.puk(card.id)}
    assert ("terminal:desk-1", "card.puk") in audited(council)
    council.revoke(card)
    assert desk.post("/v1/card-puks", {"card": str(card.id)}).outcome == (422, "card_not_active")
    assert desk.post("/v1/card-puks", {"card": str(new_id())}).outcome == (422, "card_unknown")


def test_a_puk_is_told_to_no_other_terminal(council: Council) -> None:
    """A till has cards on its reader, too."""
    card = council.card()
    till = council.terminal("till-1", "till")
    assert till.post("/v1/card-puks", {"card": str(card.id)}).outcome == (403, "role_not_allowed")


def test_puks_differ(council: Council) -> None:
    """Eight digits, another for each card."""
    puks = {council.context.keys.puk(new_id()) for _ in range(20)}  # type: ignore[arg-type]  # any UUID does
    assert len(puks) == 20
    assert all(len(puk) == 8 and puk.isdigit() for puk in puks)
