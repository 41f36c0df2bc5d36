"""`limner simulate`: a scenario through days of virtual time, or on real threads."""
