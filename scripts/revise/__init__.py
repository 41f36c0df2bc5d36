"""The commands for files that are illustrated already: what is where, and changing that."""
