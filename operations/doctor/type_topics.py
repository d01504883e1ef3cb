"""The check of the event types: does Kafka have the topic of each?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from backbone.kafka.failures import kafka_error
from operations.doctor.findings import fault
from operations.doctor.kafka import SECONDS
from operations.errors import NotKnown
from schemas.model.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from backbone.catalog.view import CatalogView
    from operations.doctor.findings import Finding
    from operations.doctor.site import Site

_NAMED = 5


def type_topics(site: Site) -> Iterator[Finding]:
    """Find event types whose topic is gone: somebody deleted it in Kafka."""
    try:
        view = site.catalog().view
    except Misconfigured as error:
        raise NotKnown("The catalog cannot be read with our secret keys.") from error
    try:
        present = AdminClient(site.kafka.client_config()).list_topics(timeout=SECONDS).topics
    except KafkaException as error:
        raise NotKnown(f"Kafka does not list its topics: {kafka_error(error).str()}.") from error
    yield from of_types(view, present)


def of_types(view: CatalogView, present: Collection[str]) -> Iterator[Finding]:
    """The finding about the event types of a catalog, with the topics that there are."""
    types = (each for workspace in view.workspaces() for each in view.event_types(workspace.name))
    gone = [each for each in types if each.topic not in present]
    if not gone:
        return
    named = ", ".join(each.topic for each in gone[:_NAMED]) + (" …" if len(gone) > _NAMED else "")
    first = f"{gone[0].namespace}/{gone[0].code} --workspace {gone[0].workspace}"
    yield fault(
        "missing-topic",
        f"Event types without a topic: {len(gone)}. They cannot be published, and the events of the topics are lost:"
        f" {named}.",
        f"Make an empty one: headrace types create {first}; or delete the type: headrace types delete {first}",
    )
