"""How many channels an image takes in a network; see `indicators`."""


def channels(n_phases: int) -> int:
    """Returns the number of channels C that `n_phases` phases take."""
    return 1 if n_phases == 2 else n_phases
