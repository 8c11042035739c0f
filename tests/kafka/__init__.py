"""Apache Kafka itself for tests: a real broker on the machine's JVM, its jars brought by Maven.

`python -m tests.kafka COMMAND…` runs a command beside one; `ApacheKafka` is one, for a test that
stops or kills its broker. Nothing here imports the product.
"""

from tests.kafka.server import ApacheKafka, ApacheKafkaError

__all__ = ["ApacheKafka", "ApacheKafkaError"]
