"""For those who test job functions; they import it as ``jobs.testing`` and ``jobs.pytest_plugin``.

It stands beside ``web``, above all that it uses: a test sees what a worker would do, by the
worker's own code.
"""
