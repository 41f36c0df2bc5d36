"""A session's actors: one message, from its opening to its write."""
