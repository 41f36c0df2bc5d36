"""Texts and their registry in a SQL database."""
