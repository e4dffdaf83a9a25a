"""The main job on embedded defaults, from no data to a report."""
