"""What a caller may do and what is kept from it: permissions, reads, destinations, budgets of work."""
