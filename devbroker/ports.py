"""Free ports on the loopback interface."""

import random
import socket

LOOPBACK = "127.0.0.1"


def is_free(port: int) -> bool:
    """True if nobody listens on the port and it can be bound.

    Both are asked: on macOS a bind succeeds beside a listener on all interfaces, and a port may be
    bound by somebody who doesn't listen yet.
    """
    with socket.socket() as client:
        client.settimeout(1)
        if client.connect_ex((LOOPBACK, port)) == 0:
            return False
    with socket.socket() as server:
        # As the broker does it; without this, connections that have just ended hold the port.
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def find_free() -> int:
    """A port that was free a moment ago; whoever starts on it must be ready to find it taken.

    It is none of those that a system gives to outgoing connections: one of these could have it
    while whoever listens there is started again.
    """
    while not is_free(port := random.randrange(10_000, 32_768)):  # Linux gives from there on
        pass
    return port
