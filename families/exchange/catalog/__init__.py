"""What the family keeps in the catalog."""
