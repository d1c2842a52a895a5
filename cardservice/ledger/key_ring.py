"""The key that wraps cardholders' keys, in its versions: the newest wraps, and every one that is kept opens.

So the key can be replaced while the service runs. A version that another process has made meanwhile is looked
for when something is first found to be wrapped under it.
"""

from collections.abc import Callable, Mapping

from cardservice.ledger.errors import KeyVersionMissing

FIRST_VERSION = 1


class KeyRing:
    """Key-encryption keys by their version."""

    def __init__(self, keys: Mapping[int, bytes], find: Callable[[int], bytes | None] | None = None) -> None:
        """`find` looks for a version that was not there when this was made."""
        self._keys, self._find = dict(keys), find

    @classmethod
    def of(cls, key: bytes) -> "KeyRing":
        """A ring of one key, the first."""
        return cls({FIRST_VERSION: key})

    def __repr__(self) -> str:
        """The versions alone."""
        return f"KeyRing({sorted(self._keys)})"

    @property
    def newest(self) -> int:
        """The version that wraps."""
        return max(self._keys)

    @property
    def versions(self) -> tuple[int, ...]:
        """Those that are known here, the oldest first."""
        return tuple(sorted(self._keys))

    def key(self, version: int) -> bytes:
        """The key of a version. Raises KeyVersionMissing."""
        known = self._keys.get(version)
        if known is None and self._find is not None and (known := self._find(version)) is not None:
            self._keys[version] = known
        if known is None:
            raise KeyVersionMissing(version)
        return known
