"""Jobs run with no Kafka around them: from a record to its end, and what came of it then and now.

It reuses what a worker runs jobs with (``execution``, ``agents.callers``, ``agents.outcomes``), so
that a rehearsal, and a test of a handler, see what a worker would do.
"""
