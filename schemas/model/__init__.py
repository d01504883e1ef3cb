"""The domain model: events and their types, endpoints, deliveries, attempts, clients. Plain values and their rules."""
