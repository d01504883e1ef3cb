"""The API's own pages: one OpenAPI document for all families, and Swagger UI without a content delivery network."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.staticfiles import StaticFiles

from ingest_api.page_policy import page_headers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastapi import FastAPI

    from ingest_api.family import Family

OPENAPI = "/openapi.json"
ASSETS = "/docs/swagger/assets"
TITLE = "Headrace"

_VALIDATION_ERROR = {"$ref": "#/components/schemas/HTTPValidationError"}

_SECURITY = {"apiKey": {"type": "http", "scheme": "bearer", "description": "An API key."}}
"""The security scheme of our own API."""


def mount(app: FastAPI, families: Sequence[Family]) -> None:
    """Serve ``/openapi.json``, ``/docs``, ``/docs/swagger/index.html`` and the files these pages load."""
    router = APIRouter(include_in_schema=False)

    @router.get(OPENAPI)
    async def openapi() -> JSONResponse:
        if app.openapi_schema is None:
            app.openapi_schema = document(app, families)
        return JSONResponse(app.openapi_schema)

    @router.get("/docs")
    @router.get("/docs/swagger")
    @router.get("/docs/swagger/index.html")
    async def swagger_ui() -> HTMLResponse:
        page = get_swagger_ui_html(
            openapi_url=OPENAPI,
            title=TITLE,
            swagger_js_url=f"{ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{ASSETS}/swagger-ui.css",
            swagger_favicon_url=f"{ASSETS}/favicon.png",
        )
        page.headers.update(page_headers(bytes(page.body).decode()))
        return page

    app.include_router(router)
    app.mount(ASSETS, StaticFiles(directory=str(files("fastapi_offline") / "static")), name="swagger-assets")


def document(app: FastAPI, families: Sequence[Family]) -> dict[str, Any]:
    """The OpenAPI document: what FastAPI derives, and the hot routes' operations as their families declare them."""
    content = get_openapi(title=TITLE, version=app.version, description=app.description, routes=app.routes)
    _drop_validation_errors(content)
    _shorten_ids(content, families)
    components = content.setdefault("components", {})
    security = components.setdefault("securitySchemes", {})
    security.update(_SECURITY)
    schemas = components.setdefault("schemas", {})
    for family in families:
        schemas.update(family.schemas)
        security.update(family.security)
        for route in family.hot:
            content["paths"].setdefault(route.path, {})[route.method.lower()] = route.operation
    return content


def _shorten_ids(content: dict[str, Any], families: Sequence[Family]) -> None:
    """Name operations as the functions, behind the family's prefix: they name a generated client's.

    FastAPI's own ids are the function, the path and the method.
    """
    taken = set()
    for path, methods in content["paths"].items():
        prefix = next((_id_prefix(family) for family in families if family.owns(path)), "")
        for method, operation in methods.items():
            behind = re.sub(r"\W", "_", path) + f"_{method}"
            name = prefix + operation["operationId"].removesuffix(behind)
            # Two methods, or two paths, of one function.
            choices = (name, f"{name}_{method}", f"{name}_{path.strip('/').partition('/')[0]}")
            operation["operationId"] = next(each for each in choices if each not in taken)
            taken.add(operation["operationId"])


def _id_prefix(family: Family) -> str:
    name = family.name.replace("-", "_") if family.name_in_ids is None else family.name_in_ids
    return f"{name}_" if name else ""


def _drop_validation_errors(content: dict[str, Any]) -> None:
    """FastAPI declares a 422 for every route with parameters; here what is not valid is answered 400, by the family."""
    for operation in (operation for path in content["paths"].values() for operation in path.values()):
        declared = operation["responses"].get("422", {}).get("content", {}).get("application/json", {})
        if declared.get("schema") == _VALIDATION_ERROR:
            del operation["responses"]["422"]
    for name in ("HTTPValidationError", "ValidationError"):
        content.get("components", {}).get("schemas", {}).pop(name, None)
