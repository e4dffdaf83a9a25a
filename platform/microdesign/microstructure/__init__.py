"""Images: the container, readers and writers, generators, statistics. Imports none of the other subpackages."""
