"""The SQL view of events, deliveries and attempts; rebuilt from Kafka at any time."""
