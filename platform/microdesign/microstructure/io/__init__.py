"""Reading, writing and converting images of any known format."""
