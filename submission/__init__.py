"""Many jobs onto the topic, each of them once: lines of a file, and jobs of the log again.

What was begun and broke off, by a kill -9 too, goes on where it was. The log is the book: each job
carries an idempotency key that says which one of its submission it is. So what the log has of it
can be told by reading, and of two records with one key intake runs the first.
"""
