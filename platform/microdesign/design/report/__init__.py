"""The answer of a campaign: result, report, figures, baselines."""
