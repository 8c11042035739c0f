"""`make bench`: this job processor and others, measured in the same way on the same machine.

`docs/performance.md` says what is measured and how; `peers/` has a module for each that is
compared, `workloads/` one for each table. Nothing here is imported by the product.
"""
