"""The virtual readers, imported once here: one pcscd for all tests of a process."""

from tests.support.pcsc import readers, session_readers

__all__ = ["readers", "session_readers"]
