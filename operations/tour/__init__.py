"""The tour: every API family played from the outside, and each arrival checked."""
