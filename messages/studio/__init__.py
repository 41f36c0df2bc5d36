"""The studio as a whole."""
