"""The result of a campaign: result, report, figures, baselines."""
