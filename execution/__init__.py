"""Running attempts: slots, time limits, stops. Plain asyncio; knows nothing of Kafka or rows."""
