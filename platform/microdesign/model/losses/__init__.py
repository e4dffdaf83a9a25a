"""The terms of the training objective: reconstruction losses by name; losses on properties, components, draws."""
