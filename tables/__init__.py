"""Rows: how they are written, folded, taken over and kept by their owner."""
