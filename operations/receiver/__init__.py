"""A webhook receiver that answers as a script says."""
