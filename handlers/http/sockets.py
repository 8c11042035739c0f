"""The check of an address where it is used: when the socket that connects to it is made."""

from __future__ import annotations

import socket
from contextvars import ContextVar
from dataclasses import dataclass

from aiohttp import AddrInfoType

from handlers.http.settings import HttpSettings


@dataclass(slots=True)
class Hop:
    """One request: the host it goes to, and whether a socket was made or refused for it."""

    host: str
    tried: bool = False
    refused: bool = False


current_hop: ContextVar[Hop] = ContextVar("http_hop")


def permitted_socket(settings: HttpSettings, info: AddrInfoType) -> socket.socket:
    """A socket for one address, which it is connected to next; here nothing can be spoofed.

    Raises:
        PermissionError: jobs may not reach the address.
    """
    family, kind, proto, _, address = info
    hop = current_hop.get()
    if not settings.permits(hop.host, str(address[0])):
        hop.refused = True
        raise PermissionError(f"jobs may not reach {address[0]}")
    hop.tried = True
    return socket.socket(family, kind, proto)
