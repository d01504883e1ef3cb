"""Everything over HTTP that does not publish: Headrace's own API, the Schema Registry reads, health."""
