"""`limner events` and `limner settings`: what there is, printed from the code itself."""
