"""The key that wraps cardholders' keys, in its versions: the newest wraps, and every one that is kept opens.

So the key can be replaced while the service runs. A version that another process has made meanwhile is looked
for when something is first found to be wrapped under it.
"""

from collections.abc import Callable, Mapping

from cardservice.ledger.errors import KeyVersionMissing

FIRST_VERSION = 1
# Ours: versions that may have been made and put away while a process has met none of them.
_AHEAD = 4


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

    def latest(self) -> int:
        """The version that wraps, also where another process has just made it; for whoever makes a key.

        Else a process that has met nothing of a new version would go on with the one before, which may have
        been destroyed by then.
        """
        if self._find is not None:
            for version in range(self.newest + 1, self.newest + 1 + _AHEAD):
                if (found := self._find(version)) is not None:
                    self._keys[version] = found
        return self.newest

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
