// npm install kafkajs @kafkajs/confluent-schema-registry
import { SchemaRegistry } from '@kafkajs/confluent-schema-registry'
import { Kafka } from 'kafkajs'

const { HEADRACE_URL, HEADRACE_KEY, KAFKA_SERVERS, EVENT_TOPIC } = process.env
const registry = new SchemaRegistry({
  host: `${HEADRACE_URL}/schema-registry`,
  auth: { username: 'headrace', password: HEADRACE_KEY },
})
const consumer = new Kafka({ brokers: KAFKA_SERVERS.split(',') }).consumer({ groupId: `quickstart-${process.pid}` })
await consumer.subscribe({ topic: EVENT_TOPIC, fromBeginning: true })
await consumer.run({
  eachMessage: async ({ message }) => {
    const event = await registry.decode(message.value)
    console.log('consumed', event.id, JSON.stringify(event.data))
  },
})
