"""The API families, each a slice of its own; ``families.registry`` lists them."""
