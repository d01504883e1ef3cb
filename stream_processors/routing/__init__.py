"""The router: events matched with subscriptions, and written as deliveries in Kafka transactions."""
