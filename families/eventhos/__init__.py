"""eventhos."""
