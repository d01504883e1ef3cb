"""Backup of the control plane: the catalog and the schemas, as they are in Kafka."""
