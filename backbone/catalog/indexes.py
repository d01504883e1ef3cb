"""The catalog view's indexes: keys listed by a relation, and schemas by subject and id."""

from __future__ import annotations

from typing import NamedTuple


class RegisteredSchema(NamedTuple):
    """One version of a subject. ``id`` belongs to the text: subjects with the same text share it."""

    id: int
    subject: str
    version: int
    text: str


class Group:
    """Keys by relation and by what the relation is to.

    One thread changes it while others read: a list is copied for them in one step, which no change can come between. A
    copy shares the lists with its original until one of the two changes them: neither a long list nor many lists cost
    what they hold with every key that is added.
    """

    def __init__(self) -> None:
        self._keys: dict[tuple[str, str], dict[str, None]] = {}
        self._own: set[tuple[str, str]] = set()

    def copy(self) -> Group:
        """A group that no longer follows this one."""
        twin = Group()
        twin._keys = self._keys.copy()
        self._own = set()
        return twin

    def keys(self, name: str, of: str) -> tuple[str, ...]:
        """The keys listed, in the order they were added."""
        return tuple(self._keys.get((name, of), ()))

    def count(self, name: str, of: str) -> int:
        """How many keys are listed."""
        return len(self._keys.get((name, of), ()))

    def add(self, name: str, of: str, key: str) -> None:
        """List a key that is not listed yet."""
        self._changeable((name, of))[key] = None

    def discard(self, name: str, of: str, key: str) -> None:
        """Take a key off the list."""
        keys = self._changeable((name, of))
        keys.pop(key, None)
        if not keys:
            del self._keys[name, of]

    def _changeable(self, relation: tuple[str, str]) -> dict[str, None]:
        """A relation's list, which no copy shares."""
        if relation not in self._own:
            self._keys[relation] = dict(self._keys.get(relation, {}))
            self._own.add(relation)
        return self._keys.setdefault(relation, {})


class Sizes:
    """Bytes by workspace, which is named as in topics."""

    def __init__(self) -> None:
        self._bytes: dict[str, int] = {}

    def copy(self) -> Sizes:
        """Sizes that no longer follow these."""
        twin = Sizes()
        twin._bytes = self._bytes.copy()
        return twin

    def of(self, workspace: str) -> int:
        """The bytes of one workspace."""
        return self._bytes.get(workspace, 0)

    def add(self, workspace: str, count: int) -> None:
        """Count bytes that were added, or taken away if ``count`` is negative."""
        size = self._bytes.get(workspace, 0) + count
        if size > 0:
            self._bytes[workspace] = size
        else:
            self._bytes.pop(workspace, None)


class Versions:
    """Schemas by subject (oldest version first) and by id (the subjects that share a text)."""

    def __init__(self) -> None:
        self._subjects: dict[str, tuple[RegisteredSchema, ...]] = {}
        self._ids: dict[int, tuple[RegisteredSchema, ...]] = {}
        self._texts: dict[str, int] = {}
        self._last_id = 0

    def copy(self) -> Versions:
        """Versions that no longer follow these."""
        twin = Versions()
        twin._subjects = self._subjects.copy()
        twin._ids = self._ids.copy()
        twin._texts = self._texts.copy()
        twin._last_id = self._last_id
        return twin

    def by_id(self, schema_id: int) -> RegisteredSchema | None:
        """Any of the versions with this id: all have the same text."""
        found = self._ids.get(schema_id)
        return found[0] if found else None

    def with_id(self, schema_id: int) -> tuple[RegisteredSchema, ...]:
        """All versions with this id."""
        return self._ids.get(schema_id, ())

    def of(self, subject: str) -> tuple[RegisteredSchema, ...]:
        """A subject's versions, oldest first."""
        return self._subjects.get(subject, ())

    def subjects(self) -> tuple[str, ...]:
        """All subjects that have a version."""
        return tuple(self._subjects)

    def next(self, subject: str, text: str) -> RegisteredSchema:
        """The version that has this text already, or the one that registering it makes."""
        versions = self.of(subject)
        for each in versions:
            if each.text == text:
                return each
        schema_id = self._texts.get(text, self._last_id + 1)
        return RegisteredSchema(schema_id, subject, versions[-1].version + 1 if versions else 1, text)

    def put(self, schema: RegisteredSchema) -> None:
        """Add a version, or write over the one with its number."""
        if schema in self.of(schema.subject):
            return
        others = tuple(each for each in self.of(schema.subject) if each.version != schema.version)
        self._drop_id(schema.subject, schema.version)
        self._ids[schema.id] = (*self._ids.get(schema.id, ()), schema)
        self._texts.setdefault(schema.text, schema.id)
        self._last_id = max(self._last_id, schema.id)
        self._subjects[schema.subject] = tuple(sorted((*others, schema), key=lambda each: each.version))

    def remove(self, subject: str, version: int, *, keep_id: bool) -> None:
        """Take a version away from its subject. Its id is not given to another text: records written with it remain."""
        if not keep_id:
            self._drop_id(subject, version)
        rest = tuple(each for each in self.of(subject) if each.version != version)
        if rest:
            self._subjects[subject] = rest
        else:
            self._subjects.pop(subject, None)

    def _drop_id(self, subject: str, version: int) -> None:
        for each in self.of(subject):
            if each.version == version:
                rest = tuple(other for other in self._ids.get(each.id, ()) if other != each)
                if rest:
                    self._ids[each.id] = rest
                else:
                    self._ids.pop(each.id, None)
                    self._texts.pop(each.text, None)
