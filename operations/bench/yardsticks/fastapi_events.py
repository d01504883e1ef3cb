"""Events over HTTP to Kafka as a team would write it: FastAPI, pydantic, fastavro and aiokafka on uvicorn and uvloop.

``python fastapi_events.py PORT BOOTSTRAP TOPIC`` serves ``POST /events``, which takes a CloudEvent or an array of them.
It checks them, encodes their data in the Schema Registry framing, and answers once all in-sync replicas have them.
"""

import asyncio
import contextlib
import io
import sys
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Literal

import fastavro
import uvicorn
from aiokafka import AIOKafkaProducer
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, TypeAdapter

_FRAME = b"\x00\x00\x00\x00\x01"
_REQUIRED = {"orderId": "string", "customerId": "string", "region": "string", "amount": "double"}
_OPTIONAL = {
    "quantity": "long",
    "express": "boolean",
    "placedAt": "string",
    "currency": "string",
    "sku": "string",
    "discount": "double",
}
_FIELDS = [
    *({"name": name, "type": kind} for name, kind in _REQUIRED.items()),
    *({"name": name, "type": ["null", kind]} for name, kind in _OPTIONAL.items()),
]
_SCHEMA = fastavro.parse_schema({"type": "record", "name": "Order", "fields": _FIELDS})


class _Order(BaseModel):
    orderId: str  # noqa: N815  # as in the event
    customerId: str  # noqa: N815  # as in the event
    region: str
    amount: float
    quantity: int | None = None
    express: bool | None = None
    placedAt: datetime | None = None  # noqa: N815  # as in the event
    currency: str | None = None
    sku: str | None = None
    discount: float | None = None


class _Event(BaseModel):
    specversion: Literal["1.0"]
    type: str
    source: str
    subject: str
    time: datetime
    datacontenttype: str
    data: _Order


_EVENTS = TypeAdapter(list[_Event])


def _encoded(event: _Event) -> bytes:
    out = io.BytesIO()
    out.write(_FRAME)
    placed = event.data.placedAt
    data = {**event.data.__dict__, "placedAt": None if placed is None else placed.isoformat()}
    fastavro.schemaless_writer(out, _SCHEMA, data)
    return out.getvalue()


def app(bootstrap: str, topic: str) -> FastAPI:
    """The application."""
    kafka: list[AIOKafkaProducer] = []

    @contextlib.asynccontextmanager
    async def connected(_: FastAPI) -> AsyncIterator[None]:
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True, linger_ms=1)
        await producer.start()
        kafka.append(producer)
        yield
        await producer.stop()

    made = FastAPI(lifespan=connected)

    @made.post("/events")
    async def publish(request: Request) -> Response:
        # The JSON parser of pydantic is quicker than having FastAPI decode the body first.
        body = await request.body()
        events = _EVENTS.validate_json(body) if body[:1] == b"[" else [_Event.model_validate_json(body)]
        sent = [await kafka[0].send(topic, _encoded(event)) for event in events]
        await asyncio.gather(*sent)
        return Response(b'{"ok":true}', 201, media_type="application/json")

    return made


if __name__ == "__main__":
    port, bootstrap, topic = sys.argv[1:]
    uvicorn.run(
        app(bootstrap, topic), port=int(port), loop="uvloop", http="httptools", access_log=False, log_level="warning"
    )
