"""Faust, bent where it stands in the way: each subclass says what for. Knows nothing of jobs."""
