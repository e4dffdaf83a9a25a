"""The Ray Serve application: encoder, decoder and property predictor behind one HTTP ingress."""
