"""A session: the life of one message, from its opening to its write."""
