"""One question to a Kafka broker, spoken by hand: are you there?

Written out here because a client library would be a thousand times the code, and would retry and
wait in ways of its own.
"""

import socket
import struct

API_VERSIONS = 18
VERSION = 0  # every broker answers it
CORRELATION = 0x6A6F6273  # any number; the answer must bear the same
CLIENT = b"devbroker"
MAX_ANSWER = 1 << 20  # the answer is far smaller; garbage read as a length often isn't


class NotKafka(Exception):
    """Something answers on the port, but not as a Kafka broker would."""


def ask(host: str, port: int, *, timeout_s: float) -> None:
    """Returns once a Kafka broker has answered.

    Raises OSError while nobody listens or the answer doesn't come, NotKafka if it makes no sense.
    """
    header = struct.pack(">hhih", API_VERSIONS, VERSION, CORRELATION, len(CLIENT)) + CLIENT
    with socket.create_connection((host, port), timeout=timeout_s) as connection:
        connection.sendall(struct.pack(">i", len(header)) + header)
        length, correlation = struct.unpack(">ii", _read(connection, 8))
    if not 4 < length <= MAX_ANSWER or correlation != CORRELATION:
        raise NotKafka(f"length {length}, correlation {correlation}")


def _read(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = connection.recv(size - len(data))
        if not chunk:
            raise ConnectionResetError("the connection was closed before the answer was complete")
        data += chunk
    return data
