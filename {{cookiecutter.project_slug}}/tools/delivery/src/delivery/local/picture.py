"""The tasks of a job as a picture in SVG: one column for each step, arrows from left to right."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

from delivery.local.graph import Node

_LINE, _PAD, _MARGIN = 16, 10, 24
_GAP_X, _GAP_Y = 72, 18  # between columns, and between boxes of a column
_LONGEST = 44  # characters of a line; the whole text is shown when the mouse points at the box
_WIDTHS = {"name": 7.6, "more": 6.3}  # of a character, at most, in the font sizes below
_SWEEPS = 4
_STYLE = """\
text { font: 11px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; fill: #57606a; }
.name { font-size: 13px; font-weight: 600; fill: #1f2328; }
.box { fill: #f6f8fa; stroke: #8c959f; }
.elsewhere { fill: #ffffff; stroke-dasharray: 5 4; }
.fault { fill: #ffebe9; stroke: #cf222e; }
.arrow { fill: none; stroke: #6e7781; stroke-width: 1.3; }
.arrow.fault { fill: none; stroke: #cf222e; stroke-dasharray: 5 4; }
.label { paint-order: stroke; stroke: #ffffff; stroke-width: 4px; text-anchor: middle; }"""

# A place in a column: a task, or the number of an arrow that passes by.
_Place = str | tuple[str, str, int]


class _Edge(NamedTuple):
    """An arrow: from a task to one that depends on it, through the columns between them."""

    before: str
    after: str
    outcome: str


@dataclass(frozen=True)
class _Box:
    """Where a task is drawn; the middle of its left side is (x, y)."""

    x: float
    y: float
    width: float
    height: float

    @property
    def bottom(self) -> float:
        """The height of its lower side."""
        return self.y + self.height / 2


def as_svg(nodes: Sequence[Node]) -> str:
    """The tasks as a picture. Tasks that run in a workspace only are dashed, faults are red."""
    tasks = {node.name: node for node in nodes}
    edges = [_Edge(n.task, node.name, n.outcome) for node in nodes for n in node.needs]
    steps = _steps(nodes)
    forward = [edge for edge in edges if steps[edge.before] < steps[edge.after]]
    back = [edge for edge in edges if edge not in forward]
    boxes = _boxes(_ordered(_columns(steps, forward), forward, steps), tasks)
    arrows = [text for edge in forward for text in _arrow(edge, steps, boxes)]
    right = max((box.x + box.width for box in boxes.values()), default=0) + _MARGIN
    bottom = max((box.bottom for box in boxes.values()), default=0) + _MARGIN
    if back:
        bottom += 2 * _MARGIN
        arrows += [_arrow_back(boxes[edge.before], boxes[edge.after], bottom) for edge in back]
    drawn = [text for node in nodes for text in _box(node, boxes[node.name])]
    size = f'width="{right:.0f}" height="{bottom:.0f}" viewBox="0 0 {right:.0f} {bottom:.0f}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size}>',
            f"<style>\n{_STYLE}\n</style>",
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
            'markerHeight="8" orient="auto"><path d="M0 0 8 4 0 8z" fill="#6e7781"/></marker>'
            "</defs>",
            f'<rect width="{right:.0f}" height="{bottom:.0f}" fill="#ffffff"/>',
            *arrows,
            *drawn,
            "</svg>\n",
        ]
    )


def _steps(nodes: Sequence[Node]) -> dict[str, int]:
    """The column of each task: one after the last of those that it depends on.

    An arrow back, which only tasks that wait for each other have, does not count.
    """
    steps: dict[str, int] = {}
    for node in nodes:
        steps[node.name] = max(
            (steps[n.task] + 1 for n in node.needs if n.task in steps), default=0
        )
    return steps


def _columns(steps: Mapping[str, int], edges: Sequence[_Edge]) -> list[list[_Place]]:
    columns: list[list[_Place]] = [[] for _ in range(max(steps.values(), default=-1) + 1)]
    for name, step in steps.items():
        columns[step].append(name)
    for edge in edges:
        for step in range(steps[edge.before] + 1, steps[edge.after]):
            columns[step].append((edge.before, edge.after, step))
    return columns


def _ordered(
    columns: list[list[_Place]], edges: Sequence[_Edge], steps: Mapping[str, int]
) -> list[list[_Place]]:
    """Each column in the order of its neighbours, so that few arrows cross."""
    before: dict[_Place, list[_Place]] = {}
    after: dict[_Place, list[_Place]] = {}
    for edge in edges:
        path = _path(edge, steps)
        for one, other in itertools.pairwise(path):
            before.setdefault(other, []).append(one)
            after.setdefault(one, []).append(other)
    for sweep in range(_SWEEPS):
        near, found = (before, columns) if sweep % 2 == 0 else (after, columns[::-1])
        for fixed, column in itertools.pairwise(found):
            rank = {place: number for number, place in enumerate(fixed)}
            own = {place: number for number, place in enumerate(column)}

            def middle(place: _Place) -> float:
                ranks = [rank[p] for p in near.get(place, ()) if p in rank]  # noqa: B023 - used at once
                return sum(ranks) / len(ranks) if ranks else own[place]  # noqa: B023

            column.sort(key=middle)
    return columns


def _path(edge: _Edge, steps: Mapping[str, int]) -> list[_Place]:
    between = range(steps[edge.before] + 1, steps[edge.after])
    return [edge.before, *((edge.before, edge.after, step) for step in between), edge.after]


def _boxes(columns: Sequence[Sequence[_Place]], tasks: Mapping[str, Node]) -> dict[_Place, _Box]:
    """Each column in the middle of the picture, as wide as its longest line."""
    sizes = {p: _size(tasks[p]) if isinstance(p, str) else (0, 0) for c in columns for p in c}
    heights = [sum(sizes[p][1] + _GAP_Y for p in column) - _GAP_Y for column in columns]
    found: dict[_Place, _Box] = {}
    x: float = _MARGIN
    for column, height in zip(columns, heights, strict=True):
        width = max(sizes[place][0] for place in column)
        y = _MARGIN + (max(heights) - height) / 2
        for place in column:
            own = sizes[place][1]
            found[place] = _Box(x, y + own / 2, width, own)
            y += own + _GAP_Y
        x += width + _GAP_X
    return found


def _lines(node: Node) -> list[str]:
    """What a box says below the name of its task."""
    left_out = f"not here: {node.left_out}" if node.left_out else ""
    return [line for line in (node.fault, node.kind, node.run_if, left_out) if line]


def _size(node: Node) -> tuple[float, float]:
    widths = [len(_cut(node.name)) * _WIDTHS["name"]]
    widths += [len(_cut(line)) * _WIDTHS["more"] for line in _lines(node)]
    return max(widths) + 2 * _PAD, (len(_lines(node)) + 1) * _LINE + 2 * _PAD - 4


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _box(node: Node, box: _Box) -> Iterator[str]:
    state = " fault" if node.fault else " elsewhere" if node.left_out else ""
    top = box.y - box.height / 2
    yield f"<g><title>{_escaped(chr(10).join([node.name, *_lines(node)]))}</title>"
    yield (
        f'<rect class="box{state}" x="{box.x:.1f}" y="{top:.1f}" width="{box.width:.1f}" '
        f'height="{box.height:.1f}" rx="6"/>'
    )
    for number, line in enumerate([node.name, *_lines(node)], 1):
        style = ' class="name"' if number == 1 else ""
        y = top + _PAD + number * _LINE - 5
        yield f'<text{style} x="{box.x + _PAD:.1f}" y="{y:.1f}">{_escaped(_cut(line))}</text>'
    yield "</g>"


def _arrow(edge: _Edge, steps: Mapping[str, int], boxes: Mapping[_Place, _Box]) -> Iterator[str]:
    """The curve of an arrow, and the outcome that it needs."""
    first, *others = (boxes[place] for place in _path(edge, steps))
    x, y = first.x + first.width, first.y
    curve = f"M{x:.1f} {y:.1f}"
    for box in others:
        middle = (x + box.x) / 2
        curve += f" C{middle:.1f} {y:.1f} {middle:.1f} {box.y:.1f} {box.x:.1f} {box.y:.1f}"
        if box is not others[-1]:
            curve += f" H{box.x + box.width:.1f}"
        x, y = box.x + box.width, box.y
    yield f'<path class="arrow" d="{curve}" marker-end="url(#tip)"/>'
    if edge.outcome:
        x, y = first.x + first.width + _GAP_X / 2, (first.y + others[0].y) / 2
        yield f'<text class="label" x="{x:.1f}" y="{y:.1f}">{_escaped(edge.outcome)}</text>'


def _arrow_back(start: _Box, end: _Box, bottom: float) -> str:
    """An arrow from a task to one before it, below all boxes."""
    x, other = start.x + 0.7 * start.width, end.x + 0.3 * end.width
    curve = f"M{x:.1f} {start.bottom:.1f} C{x:.1f} {bottom:.1f} {other:.1f} {bottom:.1f}"
    curve += f" {other:.1f} {end.bottom:.1f}"
    return f'<path class="arrow fault" d="{curve}" marker-end="url(#tip)"/>'


def _escaped(text: str) -> str:
    return escape("".join(c if c.isprintable() or c == "\n" else " " for c in text))
