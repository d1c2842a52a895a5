"""Photos of cardholders: whatever a camera made becomes one small JPEG that says nothing but the picture.

A file that somebody brings is not to be trusted: how much is read and decoded is bounded, and what is kept is
made anew from the pixels alone. Where and when the picture was taken, and with what, is never stored.
"""

import struct
import warnings
import zlib
from io import BytesIO

from PIL import Image, ImageOps, UnidentifiedImageError

from cardservice.errors import PhotoRefused

# All ours. A till's screen shows this much, and 40,000 bytes are there within the blink of a tap.
WIDTH, HEIGHT = 480, 640
MAX_BYTES = 40_000
# A smaller picture tells nobody from anybody.
_MIN_WIDTH = 90
# What is read, and what is decoded: more than the cameras of telephones make.
MAX_FILE_BYTES = 30 << 20
MAX_PIXELS = 60_000_000
# Tried in turn until the picture is small enough: less faithful first, then smaller.
_QUALITIES = (85, 75, 65, 55, 45)
_SCALES = (1.0, 0.75, 0.5, 0.25)
# Faces are rather in a picture's upper half; of what is too wide or too high the middle about here stays.
_CENTRE = (0.5, 0.4)
_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"})
# What Pillow raises for files that are broken in one way or another.
_BROKEN = (
    *(OSError, SyntaxError, ValueError, EOFError, LookupError, ArithmeticError, TypeError),
    *(struct.error, zlib.error),
)


def prepared(file: bytes) -> bytes:
    """The photo in a JPEG or PNG file, upright, as a JPEG of at most WIDTH by HEIGHT pixels and MAX_BYTES.

    Raises PhotoRefused.
    """
    if len(file) > MAX_FILE_BYTES:
        raise PhotoRefused(f"the photo's file is larger than {MAX_FILE_BYTES >> 20} MB; make it smaller")
    picture = _cropped(_decoded(file))
    for scale in _SCALES:
        smaller = _scaled(picture, scale)
        for quality in _QUALITIES:
            if len(jpeg := _encoded(smaller, quality)) <= MAX_BYTES:
                return jpeg
    raise PhotoRefused("the photo cannot be made small enough; take another")


def _decoded(file: bytes) -> Image.Image:
    """The upright picture as RGB, in a new image that carries nothing else of the file."""
    with warnings.catch_warnings():
        # Pillow warns of odd metadata, which is left behind, and of sizes that are refused here anyway.
        warnings.simplefilter("ignore")
        try:
            with Image.open(BytesIO(file), formats=("JPEG", "PNG")) as opened:
                _check(opened)
                # A JPEG can be decoded at a fraction of its size, which saves most of the work.
                opened.draft(None, (2 * HEIGHT, 2 * HEIGHT))
                return _plain(ImageOps.exif_transpose(opened))
        except PhotoRefused:
            raise
        except Image.DecompressionBombError as error:
            raise _too_many_pixels() from error
        except UnidentifiedImageError as error:
            raise PhotoRefused("the file is no JPEG and no PNG; save the photo as one of them") from error
        except _BROKEN as error:
            raise PhotoRefused("the photo's file is broken or incomplete; copy it anew") from error


def _check(opened: Image.Image) -> None:
    """Refuse by what the file says of itself, before anything is decoded."""
    if opened.width * opened.height > MAX_PIXELS:
        raise _too_many_pixels()
    if opened.mode not in _MODES:
        raise PhotoRefused("the photo's colours are of a rare kind; save it as JPEG")


def _too_many_pixels() -> PhotoRefused:
    return PhotoRefused(f"the photo has more than {MAX_PIXELS // 1_000_000} million pixels; make it smaller")


def _plain(picture: Image.Image) -> Image.Image:
    """What is transparent is white."""
    plain = Image.new("RGB", picture.size, "white")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        plain.paste(picture, mask=picture.getchannel("A"))
    else:
        plain.paste(picture.convert("RGB"))
    return plain


def _cropped(picture: Image.Image) -> Image.Image:
    """The middle of a picture in the proportions of WIDTH to HEIGHT, no larger than these, never enlarged."""
    width = min(WIDTH, picture.width, picture.height * WIDTH // HEIGHT)
    if width < _MIN_WIDTH:
        smallest = f"{_MIN_WIDTH} by {_MIN_WIDTH * HEIGHT // WIDTH}"
        raise PhotoRefused(f"the photo is too small to know anybody by; it takes {smallest} pixels at least")
    return ImageOps.fit(
        picture, (width, width * HEIGHT // WIDTH), Image.Resampling.LANCZOS, centering=_CENTRE
    )


def _scaled(picture: Image.Image, scale: float) -> Image.Image:
    size = (round(picture.width * scale), round(picture.height * scale))
    return picture if size == picture.size else picture.resize(size, Image.Resampling.LANCZOS)


def _encoded(picture: Image.Image, quality: int) -> bytes:
    made = BytesIO()
    picture.save(made, "JPEG", quality=quality, optimize=True)
    return made.getvalue()
