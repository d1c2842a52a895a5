"""Puts GOV.UK Frontend's precompiled files where the pages find them, without what only gov.uk may use.

`.ci/setup` fetches the npm package by the lock file beside this and runs this after it. The typeface GDS
Transport and the royal arms are licensed to gov.uk services alone: they are taken out here, and it is checked
that they are.
"""

import hashlib
import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
SOURCE = HERE / "node_modules" / "govuk-frontend" / "dist" / "govuk"
TARGET = HERE.parent / "static" / "vendor"
STAMP = TARGET / ".stamp"

_FONT_FACE = re.compile(r"@font-face\{[^{}]*\}")
_FONT_NOTICE = re.compile(r"/\*![^*]*Margaret Calvert[^*]*\*/")
_FONT_NAME = re.compile(r"\"?GDS Transport\"?,")
# The footer's link with the royal arms above it; no page of ours has one.
_CREST_RULE = re.compile(r"(?:-webkit-)?[a-z-]+-image:url\([^)]*crest[^)]*\);?")
_SOURCE_MAP = re.compile(r"\s*(?:/\*#|//#) sourceMappingURL=[^*\s]+(?: \*/)?\s*$")
# Goes with every copy; at the end, since a stylesheet begins with its character set.
_NOTICE = "/*! GOV.UK Frontend, Crown copyright (Government Digital Service), under the MIT licence */\n"
# The type checker looks at our own scripts; this one is others'.
_UNCHECKED = "// @ts-nocheck\n"

# In lower case: what no file of ours may hold
FORBIDDEN = ("@font-face", "gds transport", "crest", "/assets/", "url(", "calvert")


class AssetsChanged(Exception):
    """GOV.UK Frontend is not as this script knows it: what must be left out is not where it was."""


def stylesheet(text: str) -> str:
    """The stylesheet without typeface, arms and addresses of files. Raises AssetsChanged."""
    text, faces = _FONT_FACE.subn("", text)
    text, names = _FONT_NAME.subn("", text)
    text, crests = _CREST_RULE.subn("", text)
    text = _SOURCE_MAP.sub("\n", _FONT_NOTICE.sub("", text)) + _NOTICE
    if faces != 2 or names == 0 or crests == 0:
        raise AssetsChanged(f"found {faces} typefaces, {names} uses of them and {crests} crests")
    return _clean("the stylesheet", text)


def script(text: str) -> str:
    """The script without its reference to a source map. Raises AssetsChanged."""
    return _clean("the script", _UNCHECKED + _SOURCE_MAP.sub("\n", text) + _NOTICE)


def stamp() -> str:
    """What the prepared files are made from."""
    digest = hashlib.sha256()
    for path in (HERE / "package-lock.json", Path(__file__)):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def is_current() -> bool:
    """Whether the prepared files are there, and of this version."""
    return STAMP.exists() and STAMP.read_text("utf-8").strip() == stamp()


def prepare() -> None:
    """Write the files, and the stamp last. Raises AssetsChanged, OSError."""
    TARGET.mkdir(parents=True, exist_ok=True)
    STAMP.unlink(missing_ok=True)
    for name, made in (("govuk-frontend.min.css", stylesheet), ("govuk-frontend.min.js", script)):
        (TARGET / name).write_text(made((SOURCE / name).read_text("utf-8")), "utf-8")
    STAMP.write_text(stamp() + "\n", "utf-8")


def _clean(what: str, text: str) -> str:
    left = [word for word in FORBIDDEN if word in text.lower()]
    if left:
        raise AssetsChanged(f"{what} still holds {', '.join(left)}")
    return text


def main() -> None:
    """`--check`: exit status 1 unless the prepared files are current. Otherwise: prepare them."""
    if sys.argv[1:] == ["--check"]:
        sys.exit(0 if is_current() else 1)
    prepare()


if __name__ == "__main__":
    main()
