"""The networks: encoder, decoders and what they are built of."""
