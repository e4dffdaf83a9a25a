"""Design campaigns: targets, sampling, screening, refinement, ledger, report."""
