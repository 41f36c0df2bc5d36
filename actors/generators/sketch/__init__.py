"""A generator that draws a small landscape from the words of a prompt, offline."""
