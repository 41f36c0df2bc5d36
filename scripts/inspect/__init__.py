"""`limner inspect`: what an event log says, for a person, and whether it is true to the rules."""
