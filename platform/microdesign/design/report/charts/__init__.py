"""Charts of a campaign as Vega-Lite: interactive in the page, pictures elsewhere."""
