"""Its routes, its schema and its page."""
