"""The page in a real browser, on real workers."""
