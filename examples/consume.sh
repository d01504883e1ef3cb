# Headers and the Avro value; a kcat that was built with Avro decodes it: -s value=avro -r "$HEADRACE_URL/schema-registry"
kcat -C -b "$KAFKA_SERVERS" -t "$EVENT_TOPIC" -o beginning -e -f '%h\n%s\n'
