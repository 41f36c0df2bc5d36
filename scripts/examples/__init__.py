"""Hosts of Limner to begin with: each is a whole program, and short."""
