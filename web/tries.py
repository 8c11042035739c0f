"""How many tokens an address may try: guessing one takes longer than anybody waits.

What it has tried counts once. So a program that goes on with a token of yesterday locks nobody
out that has the same address, as all have behind a proxy; nor does somebody who guesses lock out
a program whose token was taken from there before.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable

from web.limits import Buckets, Clock
from web.problems import TooMany

# Tries of one address: so many at once, then one in six seconds.
TRIES = 10
TRIES_PER_S = 1 / 6
ADDRESSES = 10_000  # that are remembered; and so many tokens that were tried


class Tries:
    """Judges tokens, and remembers who tried which.

    Args:
        known: whether a token is right.
    """

    def __init__(self, known: Callable[[str], bool], clock: Clock = time.monotonic) -> None:
        self._known = known
        self._buckets = Buckets(TRIES_PER_S, TRIES, ADDRESSES, clock)
        self._judged: OrderedDict[bytes, bool] = OrderedDict()
        self._key = secrets.token_bytes(16)  # how long a look takes tells nothing of a token

    def right(self, remote: str | None, token: str) -> bool:
        """Whether a token is right that comes from this address.

        Raises:
            TooMany: the address has tried too many.
        """
        address = _network(remote)
        name = self._name(address, token)
        judged = self._judged.get(name)
        if judged is None:
            wait_s = self._buckets.wait(address)
            if wait_s:
                raise TooMany(
                    f"too many wrong tokens from this address: wait {math.ceil(wait_s)} s",
                    retry_after_s=wait_s,
                )
            judged = self._judged[name] = self._known(token)
            if not judged:
                self._buckets.take(address)
            if len(self._judged) > ADDRESSES:
                self._judged.popitem(last=False)
        self._judged.move_to_end(name)
        return judged

    def _name(self, address: str, token: str) -> bytes:
        text = f"{address} {token}".encode("utf-8", "surrogateescape")
        return hashlib.blake2b(text, key=self._key, digest_size=16).digest()


def _network(remote: str | None) -> str:
    """An address as tries are counted: whoever has one of IPv6 has 2^64 of them."""
    if remote is None or ":" not in remote:
        return remote or ""
    try:
        return str(ipaddress.ip_network((remote.partition("%")[0], 64), strict=False))
    except ValueError:
        return remote
