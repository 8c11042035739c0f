"""Job functions to learn from; each folder has a README, and runs as a test."""
