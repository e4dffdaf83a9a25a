"""YAML as every file of the program is read: safe, and a key that is given twice is refused."""

from typing import Any

import yaml

from microdesign.core.errors import InputError

MOST_VALUES = 10**6
_MERGE = "tag:yaml.org,2002:merge"


class DuplicateKeyError(InputError):
    """A key stands twice in one mapping; the text names it and its lines."""


class _StrictLoader(yaml.SafeLoader):
    """The safe loader, which refuses a second key of the same name: YAML's own rule, which PyYAML does not check."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        # Checked here and not when the mapping is built: by then `<<` has put the merged keys beside the own ones.
        node = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
                continue
            name, line = (key.tag, key.value), key.start_mark.line + 1
            if name in lines:
                where = f"in line {line}" if lines[name] == line else f"in line {lines[name]} and in line {line}"
                raise DuplicateKeyError(f"the key '{key.value}' is given twice, {where}; expected it once.")
            lines[name] = line
        return node


def parse_yaml(text: str) -> Any:
    """Returns the values of a YAML text; a mapping may override what it merges (`<<`).

    Raises:
        DuplicateKeyError: A key is given twice in one mapping.
        yaml.YAMLError: The text is no YAML.
        ValueError: It holds an impossible date.

    Example:
        >>> parse_yaml("{a: 1, b: [2]}")
        {'a': 1, 'b': [2]}
    """
    loader = _StrictLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if _expanded(node, {}) > MOST_VALUES:
            raise yaml.YAMLError(f"it holds more than {MOST_VALUES} values once its aliases are expanded")
        return loader.construct_document(node)
    except RecursionError:
        raise yaml.YAMLError("it is nested too deeply, or in itself") from None
    except (TypeError, AttributeError, IndexError, KeyError, OverflowError) as error:
        # PyYAML's constructors take a scalar such as `!!int x` or `2001-99-99` as it comes.
        raise yaml.YAMLError(f"a value cannot be read: {error}") from None
    finally:
        loader.dispose()


def _expanded(node: yaml.Node, known: dict[int, int]) -> int:
    """Values below a node, those that aliases repeat counted each time: a few lines can stand for billions."""
    if id(node) in known:
        if known[id(node)] == 0:
            raise RecursionError
        return known[id(node)]
    known[id(node)] = 0
    total = 1
    if isinstance(node, yaml.MappingNode):
        total += sum(_expanded(key, known) + _expanded(value, known) for key, value in node.value)
    elif isinstance(node, yaml.SequenceNode):
        total += sum(_expanded(each, known) for each in node.value)
    known[id(node)] = total
    return total
