"""The settings of a training run: loop, stages, physics feedback, workers."""
