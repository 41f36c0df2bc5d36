"""The limiter: slots for all generation, and for hosts' own calls."""
