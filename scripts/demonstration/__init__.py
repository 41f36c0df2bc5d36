"""What `./scripts/demo` runs: a story at a reader's pace, with what its studio does meanwhile."""
