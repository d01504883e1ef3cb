"""What its subscribers get."""
