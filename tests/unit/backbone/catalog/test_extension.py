"""What API families add to a write of the catalog."""

from __future__ import annotations

from typing import Any

from backbone.catalog.extension import CatalogExtension, Edits, Extensions
from backbone.catalog.view import CatalogView
from backbone.catalog.writer import Changes
from backbone.kafka.records import Record
from schemas.model.access import Client, Workspace

TIMES: dict[str, Any] = {"created_at": 0, "updated_at": 0}
ONE, OTHER = (Workspace(id="w", name=name, **TIMES) for name in ("one", "other"))
GONE = Client(id="c", name="c", workspace="one", **TIMES)


class Adding(CatalogExtension):
    """Adds the same to every write."""

    def __init__(self, *put: Workspace, delete: tuple[str, ...] = ()) -> None:
        self._more = Edits(put, delete)

    def additions(self, before: CatalogView, edits: Edits) -> Edits:
        assert before.client("one", "c") is not None
        assert list(edits.put) == [ONE]
        return self._more

    def events(self, before: CatalogView, edits: Edits) -> Any:
        assert before.workspace("other") is None
        keys = [each.key for each in edits.put]
        return lambda after: [Record("t", key.encode()) for key in keys if after.get(key) is not None]


def catalog() -> CatalogView:
    view = CatalogView()
    view.put(GONE, 1)
    return view


def test_additions_of_every_extension_go_along_with_a_write() -> None:
    view = catalog()
    extensions = Extensions([Adding(OTHER), CatalogExtension(), Adding(delete=(GONE.key,))])
    changes = Changes(put=[ONE], result=7).extended(extensions, view)
    assert (list(changes.put), list(changes.delete), changes.result) == ([ONE, OTHER], [GONE.key], 7)
    events = extensions.events(view, Edits(changes.put, changes.delete))
    changes.apply_to(view)
    assert [record.value for record in events(view)] == [ONE.key.encode(), OTHER.key.encode()] * 2


def test_the_write_itself_stands_against_additions() -> None:
    again = Workspace(id="another", name="one", **TIMES)
    written = Changes(put=[ONE], delete=[GONE.key], result=None)
    extended = written.extended(Extensions([Adding(again, OTHER, delete=(ONE.key, GONE.key))]), catalog())
    assert (list(extended.put), list(extended.delete)) == ([ONE, OTHER], [GONE.key])


def test_a_write_without_additions_stays_as_it_is() -> None:
    written = Changes(put=[ONE], result=None)
    assert written.extended(Extensions([CatalogExtension()]), catalog()) is written
