"""The spine the planes hang on: Kafka clients, the catalog, the publisher and the ledger."""
