"""Evaluation on Ray: pool, parallel evaluation, store of results, labelling."""
