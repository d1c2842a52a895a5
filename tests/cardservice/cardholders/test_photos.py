"""Photos: what is kept is small, upright and says nothing else; what is no photo is refused in a sentence."""

import random
import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from cardservice.cardholders import photos
from cardservice.errors import PhotoRefused

RED, BLUE, WHITE = (200, 30, 30), (30, 30, 200), (255, 255, 255)
SECRET = b"Ava's house, 51.2345 N"
_ORIENTATION, _DESCRIPTION, _GPS = 0x0112, 0x010E, 0x8825  # Exif 2.32, 4.6.4 and 4.6.3
# ISO/IEC 10918-1, table B.1, and JFIF's APP0: what a picture needs. No other APPn, and no comment.
_PICTURE_MARKERS = {0xD8, 0xE0, 0xDB, 0xC0, 0xC4, 0xDA}


def halves(size: tuple[int, int], mode: str = "RGB") -> Image.Image:
    """A picture that is red above and blue below."""
    picture = Image.new("RGB", size, BLUE)
    picture.paste(RED, (0, 0, size[0], size[1] // 2))
    return picture.convert(mode)


def noise(size: tuple[int, int]) -> Image.Image:
    """A picture that no codec makes small."""
    return Image.frombytes("RGB", size, random.Random(5).randbytes(size[0] * size[1] * 3))  # noqa: S311 - no secret


def file_of(picture: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    """The picture as a file."""
    made = BytesIO()
    picture.save(made, kind, **options)
    return made.getvalue()


def kept(file: bytes) -> Image.Image:
    """What is kept of a file, decoded; it is a JPEG within the limits."""
    jpeg = photos.prepared(file)
    assert len(jpeg) <= photos.MAX_BYTES
    with Image.open(BytesIO(jpeg)) as opened:
        opened.load()
        assert (opened.format, opened.mode) == ("JPEG", "RGB")
        assert opened.width <= photos.WIDTH
        assert opened.height <= photos.HEIGHT
        return opened.copy()


def markers(jpeg: bytes) -> Iterator[int]:
    """The markers of a JPEG up to its scan (ISO/IEC 10918-1, B.1.1)."""
    at = 0
    while True:
        assert jpeg[at] == 0xFF
        marker = jpeg[at + 1]
        yield marker
        if marker == 0xDA:
            return
        at += 2 if marker == 0xD8 else 2 + int.from_bytes(jpeg[at + 2 : at + 4])


def near(found: object, wanted: tuple[int, int, int]) -> bool:
    """Whether a colour has survived the encoding."""
    assert isinstance(found, tuple)
    return all(abs(a - b) < 25 for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize(
    ("size", "becomes"),
    [
        ((480, 640), (480, 640)),
        ((3000, 4000), (480, 640)),
        ((4000, 3000), (480, 640)),  # the middle of a landscape
        ((640, 640), (480, 640)),
        ((300, 400), (300, 400)),  # never enlarged
        ((300, 300), (225, 300)),
        ((90, 120), (90, 120)),
        ((90, 4000), (90, 120)),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_size(size: tuple[int, int], becomes: tuple[int, int], kind: str) -> None:
    assert kept(file_of(halves(size), kind)).size == becomes


def test_the_middle_of_a_wide_picture_stays() -> None:
    wide = Image.new("RGB", (1600, 640), BLUE)
    wide.paste(RED, (560, 0, 1040, 640))
    picture = kept(file_of(wide))
    assert all(near(picture.getpixel((x, 320)), RED) for x in (4, 240, 475))


@pytest.mark.parametrize(
    ("orientation", "top_left_is_red", "bottom_right_is_red"),
    # The file's first row is red, and seen at the top (1), the bottom (3), the left (5, 8), the right (6, 7).
    [
        (1, True, False),
        (3, False, True),
        (6, False, True),
        (8, True, False),
        (5, True, False),
        (7, False, True),
    ],
)
def test_it_is_upright_as_the_camera_was_held(
    orientation: int, top_left_is_red: bool, bottom_right_is_red: bool
) -> None:
    """Exif 2.32, 4.6.4.A, Orientation: applied to the pixels, as the tag is not kept."""
    exif = Image.Exif()
    exif[_ORIENTATION] = orientation
    size = (640, 480) if orientation >= 5 else (480, 640)
    picture = kept(file_of(halves(size), exif=exif))
    assert picture.size == (480, 640)
    assert near(picture.getpixel((5, 5)), RED if top_left_is_red else BLUE)
    assert near(picture.getpixel((474, 634)), RED if bottom_right_is_red else BLUE)


def test_nothing_but_the_picture_is_kept() -> None:
    """No Exif (place, time, camera, thumbnail), no profile, no XMP, no comment; nor what is after the end."""
    exif = Image.Exif()
    exif[_DESCRIPTION] = SECRET.decode()
    exif.get_ifd(_GPS)[1] = "N"
    file = file_of(
        halves((480, 640)), exif=exif, icc_profile=SECRET, comment=SECRET, xmp=SECRET, dpi=(300, 300)
    )
    assert file.count(SECRET) == 4
    jpeg = photos.prepared(file + SECRET)
    assert SECRET not in jpeg
    assert set(markers(jpeg)) <= _PICTURE_MARKERS
    assert jpeg.endswith(b"\xff\xd9")
    with Image.open(BytesIO(jpeg)) as opened:
        assert dict(opened.getexif()) == {}
        assert set(opened.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def test_nothing_but_the_picture_is_kept_of_a_png() -> None:
    """No text chunks, no Exif, no time."""
    told = PngImagePlugin.PngInfo()
    told.add_text("Comment", SECRET.decode())
    told.add_itxt("Author", SECRET.decode())
    exif = Image.Exif()
    exif[_DESCRIPTION] = SECRET.decode()
    file = file_of(halves((480, 640)), "PNG", pnginfo=told, exif=exif)
    assert file.count(SECRET) == 3
    jpeg = photos.prepared(file)
    assert SECRET not in jpeg
    assert set(markers(jpeg)) <= _PICTURE_MARKERS


@pytest.mark.parametrize("size", [(480, 640), (3000, 4000)])
def test_what_compresses_badly_is_small_all_the_same(size: tuple[int, int]) -> None:
    picture = kept(file_of(noise(size), quality=90))
    assert picture.width / picture.height == pytest.approx(0.75)
    assert picture.width >= 120


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA"])
def test_pngs_of_every_usual_kind(mode: str) -> None:
    picture = kept(file_of(halves((480, 640), mode), "PNG"))
    # One of black and white dots alone compresses badly.
    assert picture.size == ((240, 320) if mode == "1" else (480, 640))


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_jpegs_of_every_usual_kind(mode: str) -> None:
    assert kept(file_of(halves((480, 640), mode))).size == (480, 640)


def test_what_is_transparent_is_white() -> None:
    """And not black, which is what lies beneath."""
    picture = halves((480, 640), "RGBA")
    picture.paste((0, 0, 0, 0), (0, 0, 480, 320))
    found = kept(file_of(picture, "PNG"))
    assert near(found.getpixel((240, 100)), WHITE)
    assert near(found.getpixel((240, 600)), BLUE)


def png(width: int, height: int, data: bytes = b"", *, extra: bytes = b"") -> bytes:
    """A PNG that says of itself what it likes (ISO/IEC 15948, 5.3)."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + extra + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.mark.parametrize(
    ("width", "height"), [(7_746, 7_746), (10_000, 10_000), (50_000, 50_000), (2**31 - 1, 2**31 - 1)]
)
def test_a_bomb_is_not_decoded(width: int, height: int) -> None:
    """A small file that says it is a huge picture: refused by what it says."""
    with pytest.raises(PhotoRefused, match="more than 60 million pixels"):
        photos.prepared(png(width, height, zlib.compress(bytes(1_000_000))))


def test_a_bomb_of_text_is_not_unpacked() -> None:
    text = b"Comment\0\0" + zlib.compress(bytes(100_000_000))
    with pytest.raises(PhotoRefused, match="broken"):
        photos.prepared(png(100, 200, zlib.compress(bytes(61_000)), extra=_chunk(b"zTXt", text)))


def test_a_file_that_is_too_large_is_not_looked_at() -> None:
    with pytest.raises(PhotoRefused, match="larger than 30 MB"):
        photos.prepared(bytes(photos.MAX_FILE_BYTES + 1))


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
def test_half_a_photo_is_refused(kind: str, part: float) -> None:
    """Not shown with a grey half."""
    file = file_of(noise((480, 640)), kind)
    with pytest.raises(PhotoRefused, match="broken or incomplete"):
        photos.prepared(file[: int(len(file) * part)])


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"a letter",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 480 640\n",
        file_of(halves((480, 640)), "GIF"),
        file_of(halves((480, 640)), "BMP"),
        file_of(halves((480, 640)), "TIFF"),
        file_of(halves((480, 640)), "WEBP"),
    ],
    ids=["nothing", "text", "svg", "eps", "gif", "bmp", "tiff", "webp"],
)
def test_other_kinds_of_file_are_refused(file: bytes) -> None:
    """Whatever else Pillow can read is not tried: each decoder is one more way in."""
    with pytest.raises(PhotoRefused, match="no JPEG and no PNG"):
        photos.prepared(file)


def test_rare_kinds_of_pixels_are_refused() -> None:
    with pytest.raises(PhotoRefused, match="colours are of a rare kind"):
        photos.prepared(file_of(Image.new("I;16", (480, 640)), "PNG"))


@pytest.mark.parametrize("size", [(89, 640), (480, 119), (1, 1), (4000, 100)])
def test_a_picture_that_is_too_small_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(PhotoRefused, match="90 by 120 pixels at least"):
        photos.prepared(file_of(halves(size)))


_WITH_EXIF = Image.Exif()
_WITH_EXIF[_ORIENTATION] = 6
_SOUND = [
    file_of(noise((100, 134)), exif=_WITH_EXIF),
    file_of(noise((100, 134)), progressive=True),
    file_of(halves((100, 134), "P"), "PNG", exif=_WITH_EXIF),
]


@settings(max_examples=300, deadline=None)
@given(
    file=st.sampled_from(_SOUND),
    changes=st.lists(st.tuples(st.integers(0, 2**16), st.binary(min_size=1, max_size=4)), max_size=6),
    cut=st.integers(0, 400),
)
def test_any_file_is_kept_or_refused(file: bytes, changes: list[tuple[int, bytes]], cut: int) -> None:
    """Never anything else, and never beyond the limits. Changes come thick where the headers are."""
    broken = bytearray(file)
    for place, new in changes:
        at = place % (len(file) if place & 1 else 400)
        broken[at : at + len(new)] = new
    try:
        jpeg = photos.prepared(bytes(broken[: len(broken) - cut]))
    except PhotoRefused as refused:
        assert str(refused)  # noqa: PT017  # either outcome is right; the sentence must be there
    else:
        assert len(jpeg) <= photos.MAX_BYTES
        assert set(markers(jpeg)) <= _PICTURE_MARKERS
