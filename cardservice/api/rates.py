"""How often may be asked: so many a minute, all of a minute's at once if need be, by terminal or by address.

A limit is kept by each process for itself, in memory (ADR 133).
"""

import math
from collections import OrderedDict
from collections.abc import Collection
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from threading import Lock

_MINUTE_US = 60_000_000
_SECOND_US = 1_000_000
# Of how many it is remembered: a hundred bytes each. Who has not asked for longest is forgotten first.
MOST_KEYS = 50_000
# ISPs give a household or a phone at least this much. RFC 6177
_IPV6_PREFIX = 64
_UNREADABLE = "unreadable"


class Rate:
    """So many a minute for each of many, by the generic cell rate algorithm (ITU-T I.371, A.1).

    Of each is kept when all that it has asked for would be over at an even pace; it may be a minute ahead.
    """

    def __init__(self, per_minute: int, most_keys: int = MOST_KEYS) -> None:
        """`per_minute`: 0 is no limit."""
        self._step_us = _MINUTE_US // per_minute if per_minute else 0
        self._most_keys = most_keys
        self._over: OrderedDict[str, int] = OrderedDict()
        self._lock = Lock()

    def take(self, key: str, moment: datetime) -> int:
        """0 if one more may be asked now, and is counted; else after how many whole seconds."""
        if not self._step_us:
            return 0
        now = round(moment.timestamp() * _SECOND_US)
        with self._lock:
            over = max(self._over.get(key, now), now)
            if over > now + _MINUTE_US:
                over = now  # the clock was set back, which stops nobody
            wait_us = over + self._step_us - now - _MINUTE_US
            self._over[key] = over if wait_us > 0 else over + self._step_us
            self._over.move_to_end(key)
            if len(self._over) > self._most_keys:
                self._over.popitem(last=False)
        return max(math.ceil(wait_us / _SECOND_US), 0)


class Proxies:
    """Who is believed to say for whom it asks: the reverse proxy, and this machine."""

    def __init__(self, addresses: str) -> None:
        """`addresses`: as the setting `forwarded_allow_ips` has them."""
        named = [address.strip() for address in addresses.split(",") if address.strip()]
        self._known: Collection[IPv4Address | IPv6Address] = frozenset(
            found for name in named if (found := _address(name)) is not None
        )

    def asking(self, peer: str, forwarded_for: str) -> str | None:
        """Who asks: an address, or the network of an IPv6 one; None for what comes from this machine itself.

        `forwarded_for` is X-Forwarded-For, to which each proxy adds at the end whom it was asked by.
        """
        hops = [hop.strip() for hop in forwarded_for.split(",") if hop.strip()]
        # A Unix socket has no address: whoever is at its other end is on this machine.
        for hop in (*([peer] if peer else []), *reversed(hops)):
            address = _address(hop)
            if address is None:
                return _UNREADABLE
            if not self._believes(address):
                return _network(address)
        return None

    def _believes(self, address: IPv4Address | IPv6Address) -> bool:
        return address.is_loopback or address in self._known


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


def _network(address: IPv4Address | IPv6Address) -> str:
    if isinstance(address, IPv4Address):
        return str(address)
    return str(ip_network((address, _IPV6_PREFIX), strict=False))
