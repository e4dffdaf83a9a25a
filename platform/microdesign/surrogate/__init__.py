"""What a campaign needs of a model, in process or at an endpoint. Imports model and physics."""
