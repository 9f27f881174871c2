"""A campaign's text as its author wrote it: which line, step and arm a place in the document is in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from errors import BadCampaign, Fault, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Place = tuple[str | int, ...]
SHOWN = 60


class Source:
    """One YAML document, with its data and the places of its parts."""

    def __init__(self, text: str, file: str) -> None:
        """Read YAML; raises BadCampaign where it is none, is no mapping, or says something twice."""
        self.file = file
        try:
            self._root = yaml.compose(text, Loader=yaml.SafeLoader)
            self.data: Any = yaml.safe_load(text)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            what = getattr(error, "problem", None) or str(error)
            raise BadCampaign(
                [Fault(file, mark.line + 1 if mark else 1, None, f"not YAML: {what}")]
            ) from None
        except (ValueError, RecursionError) as error:
            # A date that does not exist, or a document that is folded into itself.
            what = "folded too deeply" if isinstance(error, RecursionError) else str(error)
            raise BadCampaign([Fault(file, 1, None, f"not YAML: {what}")]) from None
        if not isinstance(self.data, dict):
            raise BadCampaign([Fault(file, 1, None, "a campaign is a mapping that starts with 'name:'")])
        twice = list(self._keys_that_stand_twice(self._root, (), set()))
        if twice:
            raise BadCampaign(twice)

    def fault(
        self,
        place: Sequence[str | int],
        what: str,
        suggestion: str | None = None,
        severity: Severity = Severity.ERROR,
    ) -> Fault:
        """Make a fault at a place of the document."""
        place = tuple(place)
        return Fault(
            self.file, self.line(place), self.step(place), what, suggestion, severity, self.arm(place)
        )

    def line(self, place: Sequence[str | int]) -> int:
        """Find the line of a place in the document, or of the nearest part above it that exists."""
        return self._find(place)[0]

    def written(self, place: Sequence[str | int]) -> str:
        """Give what stands at a place, in the author's own letters; a list or mapping is only named."""
        _, node = self._find(place)
        if isinstance(node, yaml.ScalarNode):
            text = str(node.value)
            return f"'{text}'" if len(text) <= SHOWN else f"'{text[:SHOWN]}…'"
        return "a list" if isinstance(node, yaml.SequenceNode) else "a group of keys"

    def step(self, place: Sequence[str | int]) -> str | None:
        """Name the step that a place lies in, by its id or else by its position."""
        if "steps" not in place:
            return None
        begins = list(place).index("steps")
        if begins + 1 >= len(place) or not isinstance(place[begins + 1], int):
            return None
        number = int(place[begins + 1])
        # An arm without steps of its own has the campaign's.
        for holder in (self._at(place[:begins]), self.data):
            steps = holder.get("steps") if isinstance(holder, dict) else None
            if isinstance(steps, list) and number < len(steps):
                step = steps[number]
                return str(step.get("id", number + 1)) if isinstance(step, dict) else str(number + 1)
        return None

    def arm(self, place: Sequence[str | int]) -> str | None:
        """Name the arm that a place lies in, by its name or else by its position."""
        if len(place) < 2 or place[0] != "arms" or not isinstance(place[1], int):  # noqa: PLR2004 - arms, which
            return None
        arm = self._at(place[:2])
        return str(arm.get("name", place[1] + 1)) if isinstance(arm, dict) else str(place[1] + 1)

    def _at(self, place: Sequence[str | int]) -> Any:
        found = self.data
        for part in place:
            try:
                found = found[part]
            except (LookupError, TypeError):
                return None
        return found

    def _find(self, place: Sequence[str | int]) -> tuple[int, yaml.Node | None]:
        line, node = 1, self._root
        for part in place:
            found: yaml.Node | None = None
            if isinstance(node, yaml.MappingNode):
                for key, value in node.value:
                    if key.value == str(part):
                        line, found = key.start_mark.line + 1, value
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                found = node.value[part]
                line = found.start_mark.line + 1
            if found is None:
                break
            node = found
        return line, node

    def _keys_that_stand_twice(
        self, node: yaml.Node | None, place: Place, seen: set[yaml.Node]
    ) -> Iterator[Fault]:
        """Find keys that YAML's reader would take silently, the last one winning."""
        if node is None or node in seen:
            return
        # What is written once and pointed to from elsewhere is looked at once.
        seen.add(node)
        if isinstance(node, yaml.MappingNode):
            keys: set[str] = set()
            for key, value in node.value:
                name = str(key.value)
                if name in keys:
                    here = (*place, name)
                    what = f"'{name}' stands twice"
                    yield Fault(
                        self.file,
                        key.start_mark.line + 1,
                        self.step(here),
                        what,
                        "keep one of them",
                        arm=self.arm(here),
                    )
                keys.add(name)
                yield from self._keys_that_stand_twice(value, (*place, name), seen)
        elif isinstance(node, yaml.SequenceNode):
            for number, item in enumerate(node.value):
                yield from self._keys_that_stand_twice(item, (*place, number), seen)
