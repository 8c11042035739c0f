"""The log: Kafka's topics, read by place and made on start. No consumer group, no Faust."""
