"""Adapters: a module for each suite of environments that other packages provide."""
