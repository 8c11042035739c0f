"""``python -m worker.health``: whether the worker of this environment answers; for health checks.

Exit code 0: it does. It imports little, since it is run every few seconds.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence

from settings import Settings, SettingsError, load

WITHIN_S = 4.0


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Ask ``/healthz``, or the path that is given; what is wrong is told in a line."""
    path = arguments[0] if arguments else "/healthz"
    try:
        settings = load(environ)
    except SettingsError as exc:
        return _told(f"error: {exc}")
    url = address(settings) + path
    # The loopback address is in no certificate, and nothing is told or believed here. No proxy of
    # the environment is asked: the worker is on this machine.
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
    try:
        with opener.open(url, timeout=WITHIN_S):
            return 0
    except urllib.error.HTTPError as exc:
        return _told(f"{url} answered {exc.code}")
    except OSError as exc:
        return _told(f"{url} can't be reached: {getattr(exc, 'reason', exc)}")


def address(settings: Settings) -> str:
    """Where a worker with these settings is asked from its own machine."""
    host = settings.bind
    try:
        bound = ipaddress.ip_address(host)
    except ValueError:
        pass  # a name
    else:
        if bound.is_unspecified:  # all addresses
            bound = ipaddress.ip_address("127.0.0.1" if bound.version == 4 else "::1")
        host = f"[{bound}]" if bound.version == 6 else str(bound)
    scheme = "http" if settings.tls_cert is None else "https"
    return f"{scheme}://{host}:{settings.port}"


def _told(text: str) -> int:
    print(text, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
