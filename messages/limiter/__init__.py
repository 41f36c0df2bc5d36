"""The limiter: what is asked of it, and who may have a slot when."""
