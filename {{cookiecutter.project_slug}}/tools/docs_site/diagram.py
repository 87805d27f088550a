"""Flowcharts of Mermaid as SVG, so that a page needs no script for them.

It draws what the guide uses: `flowchart LR` or `TD`, nodes with a label in brackets, and arrows.
Another diagram stays as text.
"""

import html
import re
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

_NODE = r'(\w+)(?:\[\((.+?)\)\]|\["(.+?)"\]|\[(.+?)\]|\((.+?)\)|\{(.+?)\})?'
_ARROW = r"\s*(?:--\s+(.+?)\s+-->|-->\|(.+?)\||-->)\s*"
# In pixels; a wider chart goes down instead of across.
_EDGE, _LINE, _GAP, _BETWEEN, _LETTER, _PADDING, _WIDEST = 4.0, 20, 24, 60, 7.8, 28, 900
_FENCE = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass
class _Chart:
    """A flowchart.

    Attributes:
        labels: the lines of each node.
        edges: the label of each arrow, by its ends.
        dashed: the nodes of the class `elsewhere`.
    """

    is_across: bool
    labels: dict[str, list[str]] = field(default_factory=dict)
    edges: dict[tuple[str, str], str] = field(default_factory=dict)
    dashed: set[str] = field(default_factory=set)


def with_diagrams(page: str) -> str:
    """A page with its flowcharts drawn."""

    def drawn(found: re.Match[str]) -> str:
        chart = _read(found[1])
        lines_after = "\n" * found[0].count("\n")  # so that lines below keep their numbers
        return _svg(chart) + lines_after if chart else found[0].replace("mermaid", "text", 1)

    return _FENCE.sub(drawn, page)


def _read(text: str) -> _Chart | None:
    """The flowchart that a text describes; None if it uses more than is drawn here."""
    first, *lines = text.splitlines()
    kind = re.fullmatch(r"\s*(?:flowchart|graph) (LR|TD|TB)\s*", first)
    chart = _Chart(bool(kind and kind[1] == "LR"))
    for line in map(str.strip, lines):
        if of_class := re.fullmatch(r"class ([\w,]+) elsewhere", line):
            chart.dashed |= {*of_class[1].split(",")}
        elif line and not line.startswith(("classDef ", "%%")) and not _add(chart, line):
            return None
    return chart if kind and chart.labels else None


def _add(chart: _Chart, line: str) -> bool:
    """Add the nodes and arrows of a line; whether it has nothing else."""
    previous, arrow, at = "", "", 0
    while found := re.compile(_NODE).match(line, at):
        name, *labels = found.groups()
        label = next(filter(None, labels), None)
        if label or name not in chart.labels:
            chart.labels[name] = [_plain(part) for part in re.split(r"<br\s*/?>", label or name)]
        if previous:
            chart.edges[previous, name] = arrow
        if found.end() == len(line):
            return True
        link = re.compile(_ARROW).match(line, found.end())
        if not link:
            return False
        previous, arrow, at = name, _plain(link[1] or link[2] or ""), link.end()
    return False


def _plain(text: str) -> str:
    """The text of a label: Mermaid writes entities with # instead of &."""
    without_tags = re.sub(r"</?b>", "", text)
    return html.unescape(re.sub(r"#(\d+|[a-z]+);", _entity, without_tags))


def _entity(found: re.Match[str]) -> str:
    return f"&#{found[1]};" if found[1].isdecimal() else f"&{found[1]};"


def _layers(chart: _Chart) -> tuple[list[list[str]], dict[tuple[str, str], list[str]]]:
    """The nodes by their distance from the start, each near those that it follows; and the way of
    each arrow: through a point in every layer that it crosses.
    """
    before: dict[str, list[str]] = {name: [] for name in chart.labels}
    for source, goal in chart.edges:
        before[goal].append(source)
    try:
        order = [*TopologicalSorter(before).static_order()]
    except CycleError:
        order = [*chart.labels]
    depth: dict[str, int] = {}
    for name in order:
        depth[name] = max((depth[b] + 1 for b in before[name] if b in depth), default=0)
    layers: list[list[str]] = [[] for _ in range(max(depth.values()) + 1)]
    for name in chart.labels:
        layers[depth[name]].append(name)
    ways = {}
    for source, goal in chart.edges:
        crossed = range(depth[source] + 1, depth[goal])
        points = [f"{source} {goal} {number}" for number in crossed]
        way = ways[source, goal] = [source, *points, goal]
        for number, point in zip(crossed, points, strict=True):
            layers[number].append(point)
        before |= dict(zip(way[1:-1], ([point] for point in way), strict=False))
        before[goal][before[goal].index(source)] = way[-2]
    for above, layer in pairwise(layers):
        layer.sort(key=lambda name: _mean([above.index(b) for b in before[name] if b in above]))
    return layers, ways


def _mean(numbers: list[int]) -> float:
    return sum(numbers) / len(numbers) if numbers else 0


@dataclass
class _Box:
    """Where a node stands, or a point of an arrow."""

    left: float
    top: float
    width: float
    height: float

    def side(self, is_across: bool, is_end: bool) -> tuple[float, float]:
        """The middle of the side where arrows leave it, or where they end."""
        if is_across:
            return self.left + (0 if is_end else self.width), self.top + self.height / 2
        return self.left + self.width / 2, self.top + (0 if is_end else self.height)


def _boxes(chart: _Chart, layers: list[list[str]]) -> dict[str, _Box]:
    boxes, start = {}, _EDGE
    longest = max((len(label) for label in chart.edges.values()), default=0) * _LETTER
    between = max(_BETWEEN, longest + _PADDING) if chart.is_across else _BETWEEN
    placed = [[_size(chart, name) for name in layer] for layer in layers]
    beside = [sum(h if chart.is_across else w for w, h in p) + _GAP * (len(p) - 1) for p in placed]
    for layer, sizes, extent in zip(layers, placed, beside, strict=True):
        deep = max(w if chart.is_across else h for w, h in sizes)
        at = _EDGE + (max(beside) - extent) / 2
        for name, (width, height) in zip(layer, sizes, strict=True):
            near = start + (deep - (width if chart.is_across else height)) / 2
            left, top = (near, at) if chart.is_across else (at, near)
            boxes[name] = _Box(left, top, width, height)
            at += (height if chart.is_across else width) + _GAP
        start += deep + between
    return boxes


def _size(chart: _Chart, name: str) -> tuple[float, float]:
    lines = chart.labels.get(name)
    if not lines:
        return (1, 1)
    return max(map(len, lines)) * _LETTER + _PADDING, len(lines) * _LINE + _PADDING / 2


def _svg(chart: _Chart) -> str:
    """The drawing, in one line: Markdown keeps that as it is."""
    layers, ways = _layers(chart)
    boxes = _boxes(chart, layers)
    if chart.is_across and max(box.left + box.width for box in boxes.values()) > _WIDEST:
        chart.is_across = False
        boxes = _boxes(chart, layers)
    arrows, ends = [], [box.left + box.width for box in boxes.values()]
    for edge, label in chart.edges.items():
        arrows.append(_arrow([boxes[point] for point in ways[edge]], chart.is_across))
        if label:
            text, end = _label(boxes[ways[edge][0]], boxes[ways[edge][1]], label, chart.is_across)
            arrows.append(text)
            ends.append(end)
    nodes = [_node(boxes[n], lines, n in chart.dashed) for n, lines in chart.labels.items()]
    width = max(ends) + _EDGE
    height = max(box.top + box.height for box in boxes.values()) + _EDGE
    return (
        '<div class="diagram" role="group" aria-label="Diagram" tabindex="0">'
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{_told(chart)}">'
        f"{''.join([*arrows, *nodes])}</svg></div>"
    )


def _told(chart: _Chart) -> str:
    """The diagram in words, for those who hear it."""
    steps = [f"{chart.labels[a][0]} to {chart.labels[b][0]}" for a, b in chart.edges]
    return html.escape("; ".join(steps or [lines[0] for lines in chart.labels.values()]))


def _node(box: _Box, lines: list[str], is_dashed: bool) -> str:
    middle = f"{box.left + box.width / 2:.0f}"
    texts = [
        f'<text x="{middle}" y="{box.top + _LINE * number:.0f}">{html.escape(line)}</text>'
        for number, line in enumerate(lines, 1)
    ]
    text = "".join(texts)
    place = "elsewhere" if is_dashed else "here"
    return (
        f'<g class="{place}"><rect x="{box.left:.0f}" y="{box.top:.0f}" '
        f'width="{box.width:.0f}" height="{box.height:.0f}" rx="5"/>{text}</g>'
    )


def _arrow(way: list[_Box], is_across: bool) -> str:
    """Curves through the points of an arrow, and its tip."""
    x, y = way[0].side(is_across, is_end=False)
    path = [f"M{x:.0f} {y:.0f}"]
    for box in way[1:]:
        to_x, to_y = box.side(is_across, is_end=True)
        half_x, half_y = ((to_x - x) / 2, 0) if is_across else (0, (to_y - y) / 2)
        path.append(
            f"C{x + half_x:.0f} {y + half_y:.0f} {to_x - half_x:.0f} {to_y - half_y:.0f} "
            f"{to_x:.0f} {to_y:.0f}"
        )
        x, y = to_x, to_y
    tip = "l-8 -4v8z" if is_across else "l-4 -8h8z"
    curve = "".join(path)
    return f'<path d="{curve}"/><path class="tip" d="M{x:.0f} {y:.0f}{tip}"/>'


def _label(source: _Box, goal: _Box, label: str, is_across: bool) -> tuple[str, float]:
    """The label of an arrow, above or beside it, and where it ends."""
    (x1, y1), (x2, y2) = source.side(is_across, is_end=False), goal.side(is_across, is_end=True)
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    width = len(label) * _LETTER
    x, y = (x, y - 6) if is_across else (x + 8 + width / 2, y + 4)
    return f'<text x="{x:.0f}" y="{y:.0f}">{html.escape(label)}</text>', x + width / 2
