"""What a key may be called: it is a file's name, and a label on a token."""

import re

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


def checked_name(name: str) -> str:
    """The name, if it is one. Raises ValueError."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"a key's name is made of a-z, 0-9 and -, not {name!r}")
    return name
