"""What is compared: one module for each peer."""
