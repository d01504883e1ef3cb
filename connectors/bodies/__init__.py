"""What a family's subscribers expect to receive, one module per family."""
