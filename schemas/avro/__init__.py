"""Event types as Avro: derived schemas, encoding, decoding, validation, compatibility."""
