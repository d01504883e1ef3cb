"""The Kafka clients: producer, transaction, consumer, admin. The only importer of confluent_kafka."""
