"""What happened: the events of the log."""
