"""Apache Kafka itself for tests: a real broker on the machine's JVM, its jars brought by Maven.

`python -m tests.kafka COMMAND…` runs a command beside one; `ApacheKafka` is one and
`ApacheKafkaCluster` several, for tests that stop or kill brokers. Nothing here imports the product.
"""

from devbroker.guard import die_with_parent
from tests.kafka.cluster import ApacheKafkaCluster
from tests.kafka.server import ApacheKafka, ApacheKafkaError

__all__ = ["ApacheKafka", "ApacheKafkaCluster", "ApacheKafkaError", "die_with_parent"]
