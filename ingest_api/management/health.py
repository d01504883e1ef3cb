"""Whether this worker lives, whether it can do its work, and its numbers."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Response

from backbone.process.http_hosts import UNKNOWN
from ingest_api.management.dependencies import Host, TheGateway
from ingest_api.metrics import CONTENT_TYPE
from ingest_api.problems import HttpProblem

router = APIRouter(tags=["Health"])


@router.get("/healthz", summary="Does the process live?")
async def healthz() -> dict[str, str]:
    """Always 200: a process that cannot answer this one should be restarted."""
    return {"status": "ok"}


@router.get(
    "/readyz",
    summary="Can it do its work?",
    responses={503: {"description": "Kafka cannot be reached, or does not acknowledge what is written."}},
)
async def readyz(gateway: TheGateway, response: Response) -> dict[str, str]:
    """503 while Kafka cannot be reached, or does not acknowledge what is written."""
    reason = await gateway.unready()
    if reason is not None:
        response.status_code = 503
        response.headers["Retry-After"] = "1"
        return {"status": "unavailable", "reason": reason}
    return {"status": "ready"}


@router.get(
    "/metrics",
    summary="Prometheus metrics",
    response_class=Response,
    responses={421: {"description": "It was asked for by a host name that is not this server's."}},
)
async def metrics(gateway: TheGateway, host: Host) -> Response:
    """The Prometheus text format; with several workers, their sum."""
    if not gateway.settings.hosts.knows(host):
        raise HttpProblem(HTTPStatus.MISDIRECTED_REQUEST, UNKNOWN)
    return Response(gateway.metrics.exposition(), media_type=CONTENT_TYPE)
