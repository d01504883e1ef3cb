"""How values print, and which ones would not come back as they were sent.

A record is typed for analysts and lossless for subscribers: where the typed value does not print back as the text that
was sent (``125.50``, ``1e3``, a twenty-digit number, a seventh fraction digit of a time), the record's ``lexical`` map
keeps that text under the field's name, ``data.<attribute>`` or ``time``.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from schemas.avro.attributes import AttributeKind
from schemas.model import timestamps

if TYPE_CHECKING:
    from collections.abc import Callable

TIME = "time"
"""Key of the envelope's time."""
NULL = "null"
"""What ``lexical`` holds for an attribute that was sent as JSON ``null``; one that was not sent has no entry."""

may_differ = re.compile(
    rb":\s?+(?:[-n\d](?:ull|[\d.]{15}|\d*+\.\d*0[,}\s]|[\d.]*+[eE])|-0[,}\s]|\s)",
).search
"""A cheap look over the JSON text of an object: None if every member prints back as sent.

It finds what stands after a colon: ``null``, an exponent, a fraction that ends in 0, sixteen digits or more, ``-0``. Up
to fifteen digits a double prints back as written. What it finds may be inside a string: a closer look decides.
"""

JSON_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)


def extension_key(name: str) -> str:
    """The key in ``lexical`` of an extension attribute that was sent as a JSON number or boolean, not as text."""
    return f"extensions.{name}"


def key(attribute: str) -> str:
    """The attribute's key in ``lexical``."""
    return f"data.{attribute}"


def number_text(value: float) -> str:
    """A finite double as JSON: the fewest digits that read back, no exponent, no point when whole."""
    text = repr(value)
    if text.endswith(".0"):
        return text[:-2]
    return format(Decimal(text), "f") if "e" in text else text


def decimal_text(value: Decimal) -> str:
    """A decimal with all of its places; zero has no sign, as in Avro."""
    return format(value or abs(value), "f")


def _boolean_text(value: object) -> str:
    return "true" if value else "false"


PRINTERS: dict[AttributeKind, Callable[[Any], str]] = {
    AttributeKind.STRING: str,
    AttributeKind.NUMBER: number_text,
    AttributeKind.BOOLEAN: _boolean_text,
    AttributeKind.TIME: timestamps.to_text,
    AttributeKind.INTEGER: str,
    AttributeKind.DECIMAL: decimal_text,
    AttributeKind.JSON: str,
}
"""A typed value as text, by the kind of its attribute: what ``lexical`` is compared with."""
