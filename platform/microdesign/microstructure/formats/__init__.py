"""File formats that users bring and take away: each module reads or writes one of them, in chunks."""
