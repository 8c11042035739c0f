"""What happens to records: taking jobs in, running them, reruns, cancels, rebalances, the audit."""
