"""From one micrograph to a report: windows, a model fine-tuned on it, labelled draws, training, campaign."""
