"""A campaign: config, trials, ledger, engine."""
