"""The writes of one message, in their order."""
