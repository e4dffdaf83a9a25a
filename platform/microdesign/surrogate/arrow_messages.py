"""The messages of an Arrow stream by their headers alone: what unpacks to more than was sent is refused unread.

The layout is that of Arrow's `Message.fbs`, as flatbuffers store it: a table begins with the distance back to its list
of fields, which has the place of each field in the table, 0 where it is left out.
"""

import struct

from microdesign.core.errors import InputError

_CONTINUES = 0xFFFFFFFF
_SCHEMA, _BATCH = 1, 3
"""Kinds of messages, of which a stream of plain arrays has these two."""
_KIND, _HEADER, _BODY = 1, 2, 3
"""Fields of a message."""
_COMPRESSION = 3
"""Field of a record batch."""


def refuse_packed(data: bytes) -> None:
    """Looks at the messages of a stream up to its first record batch.

    Raises:
        InputError: The batch is compressed, or a message is neither schema nor record batch.
        ValueError: The stream is damaged.
        struct.error: The same.
    """
    place = 0
    while True:
        (length,) = struct.unpack_from("<I", data, place)
        place += 4
        if length == _CONTINUES:
            (length,) = struct.unpack_from("<I", data, place)
            place += 4
        if length == 0:
            raise ValueError("it ends before its arrays")
        header = data[place : place + length]
        if len(header) < length:
            raise ValueError("it is cut off")
        kind = _scalar(header, _root(header), _KIND, "<B")
        if kind not in (_SCHEMA, _BATCH):
            raise InputError("The Arrow stream holds other messages than arrays; expected a list of numbers a column.")
        if kind == _BATCH:
            batch = _table(header, _root(header), _HEADER)
            if _field(header, batch, _COMPRESSION):
                raise InputError("The Arrow stream is compressed; send it without compression.")
            return
        place += length + _scalar(header, _root(header), _BODY, "<q")
        if not 0 <= place < len(data):
            raise ValueError("it is cut off")


def _root(data: bytes) -> int:
    return int(struct.unpack_from("<I", data, 0)[0])


def _field(data: bytes, table: int, number: int) -> int:
    """The place of a table's field; 0 where it is left out."""
    fields = table - struct.unpack_from("<i", data, table)[0]
    if fields < 0:
        raise ValueError("a table lies outside it")
    (size,) = struct.unpack_from("<H", data, fields)
    at = 4 + 2 * number
    offset = struct.unpack_from("<H", data, fields + at)[0] if at + 2 <= size else 0
    return table + offset if offset else 0


def _table(data: bytes, table: int, number: int) -> int:
    place = _field(data, table, number)
    if not place:
        raise ValueError("a message has no header")
    return place + int(struct.unpack_from("<I", data, place)[0])


def _scalar(data: bytes, table: int, number: int, form: str) -> int:
    place = _field(data, table, number)
    return int(struct.unpack_from(form, data, place)[0]) if place else 0
