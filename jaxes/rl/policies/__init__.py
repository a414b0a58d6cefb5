"""Policies: any Flax module as one, networks that are ready made, and the heads that turn outputs into actions."""
