# pip install 'confluent-kafka[avro,schemaregistry]'
import os

from confluent_kafka import Consumer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

topic = os.environ["EVENT_TOPIC"]
registry = SchemaRegistryClient(
    {
        "url": os.environ["HEADRACE_URL"] + "/schema-registry",
        "basic.auth.user.info": "headrace:" + os.environ["HEADRACE_KEY"],
    }
)
decode = AvroDeserializer(registry)
consumer = Consumer(
    {
        "bootstrap.servers": os.environ["KAFKA_SERVERS"],
        "group.id": f"quickstart-{os.getpid()}",
        "auto.offset.reset": "earliest",
    }
)
consumer.subscribe([topic])
while True:
    message = consumer.poll(1.0)
    if message is not None and message.error() is None:
        event = decode(message.value(), SerializationContext(topic, MessageField.VALUE))
        print("consumed", event["id"], event["data"], flush=True)
