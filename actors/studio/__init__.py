"""The studio: the handle that hosts embed, and the root of its actors."""
