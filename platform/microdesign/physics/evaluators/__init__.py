"""Evaluators: physics behind one small protocol."""
