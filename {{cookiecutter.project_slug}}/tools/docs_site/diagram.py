"""Flowcharts of Mermaid as SVG, so that a page needs no script for them.

It draws what the guide uses: `flowchart LR` or `TD`, nodes with a label in brackets, and arrows.
Another diagram stays as text.
"""

import html
import re
from dataclasses import dataclass, field

from delivery.render.layout import Box, Edge, Layout, Size, Spacing, lay_out

_NODE = r'(\w+)(?:\[\((.+?)\)\]|\["(.+?)"\]|\[(.+?)\]|\((.+?)\)|\{(.+?)\})?'
_ARROW = r"\s*(?:--\s+(.+?)\s+-->|-->\|(.+?)\||-->)\s*"
# In pixels; a wider chart goes down instead of across.
_EDGE, _LINE, _GAP, _BETWEEN, _LETTER, _PADDING, _WIDEST = 4.0, 20, 24, 60, 7.8, 28, 690
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
    edges: dict[Edge, str] = field(default_factory=dict)
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


def _placed(chart: _Chart, is_across: bool) -> Layout:
    longest = max((len(label) for label in chart.edges.values()), default=0) * _LETTER
    between = max(_BETWEEN, longest + _PADDING) if is_across else _BETWEEN
    sizes = {name: _size(lines) for name, lines in chart.labels.items()}
    return lay_out(sizes, chart.edges, Spacing(_EDGE, between, _GAP), is_across)


def _size(lines: list[str]) -> Size:
    return max(map(len, lines)) * _LETTER + _PADDING, len(lines) * _LINE + _PADDING / 2


def _svg(chart: _Chart) -> str:
    """The drawing, in one line: Markdown keeps that as it is."""
    layout = _placed(chart, chart.is_across)
    if layout.is_across and layout.right > _WIDEST:
        layout = _placed(chart, is_across=False)
    arrows, ends = [_arrow(layout, edge) for edge in chart.edges], [layout.right]
    for edge, label in chart.edges.items():
        if label:
            text, end = _label(layout, edge, label)
            arrows.append(text)
            ends.append(end)
    nodes = [_node(layout.boxes[n], ls, n in chart.dashed) for n, ls in chart.labels.items()]
    width, height = max(ends) + _EDGE, layout.bottom + _EDGE
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


def _node(box: Box, lines: list[str], is_dashed: bool) -> str:
    middle = f"{box.left + box.width / 2:.0f}"
    texts = [
        f'<text x="{middle}" y="{box.top + _LINE * number + 2:.0f}">{html.escape(line)}</text>'
        for number, line in enumerate(lines, 1)
    ]
    text = "".join(texts)
    place = "elsewhere" if is_dashed else "here"
    return (
        f'<g class="{place}"><rect x="{box.left:.0f}" y="{box.top:.0f}" '
        f'width="{box.width:.0f}" height="{box.height:.0f}" rx="5"/>{text}</g>'
    )


def _arrow(layout: Layout, edge: Edge) -> str:
    """The curve of an arrow, and its tip."""
    x, y = layout.ways[edge][-1].side(layout.is_across, is_end=True)
    tip = "l-8 -4v8z" if layout.is_across else "l-4 -8h8z"
    return f'<path d="{layout.curve(edge)}"/><path class="tip" d="M{x:.0f} {y:.0f}{tip}"/>'


def _label(layout: Layout, edge: Edge, label: str) -> tuple[str, float]:
    """The label of an arrow, above or beside it, and where it ends."""
    (x, y), width = layout.label(edge), len(label) * _LETTER
    text = html.escape(label)
    if layout.is_across:
        return f'<text x="{x:.0f}" y="{y - 6:.0f}">{text}</text>', x + width / 2
    return f'<text class="beside" x="{x + 8:.0f}" y="{y + 4:.0f}">{text}</text>', x + 8 + width
