"""The base of every error of this package, apart so that the errors can stand in two modules."""

from typing import ClassVar


class PkiError(Exception):
    """Base of every error that this package raises on purpose; its text is a sentence for a person."""

    code: ClassVar[str] = "pki_error"
