"""What several connectors need: a worker that reads deliveries, and the events in them."""
