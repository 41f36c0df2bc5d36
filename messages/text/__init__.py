"""Texts: their prompt tags and marks, and what is written into them."""
