"""What things are: domain model, event type to Avro, compatibility, filters, topic names, error tree. No I/O."""
