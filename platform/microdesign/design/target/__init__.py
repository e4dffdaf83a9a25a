"""What a campaign is asked for."""
