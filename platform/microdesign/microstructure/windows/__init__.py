"""Windows of large images: cutting them, and splitting them into training, validation and test windows by region."""
