"""Programs: each puts a plane, its settings and the families together and runs it."""
