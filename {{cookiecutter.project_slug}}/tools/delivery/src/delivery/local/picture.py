"""The tasks of a job as a picture in SVG: one column for each step, arrows from left to right."""

from collections.abc import Iterator, Sequence
from html import escape

from delivery.local.graph import Node
from delivery.render.layout import Box, Edge, Layout, Spacing, lay_out

_LINE, _PAD = 16, 10
_SPACING = Spacing(margin=24, between=72, beside=18)
_LONGEST = 44  # characters of a line; the whole text is shown when the mouse points at the box
_WIDTHS = {"name": 7.6, "more": 6.3}  # of a character, at most, in the font sizes below
_STYLE = """\
text { font: 11px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; fill: #57606a; }
.name { font-size: 13px; font-weight: 600; fill: #1f2328; }
.box { fill: #f6f8fa; stroke: #8c959f; }
.elsewhere { fill: #ffffff; stroke-dasharray: 5 4; }
.fault { fill: #ffebe9; stroke: #cf222e; }
.arrow { fill: none; stroke: #6e7781; stroke-width: 1.3; }
.arrow.fault { fill: none; stroke: #cf222e; stroke-dasharray: 5 4; }
.label { paint-order: stroke; stroke: #ffffff; stroke-width: 4px; text-anchor: middle; }"""


def as_svg(nodes: Sequence[Node]) -> str:
    """The tasks as a picture. Tasks that run in a workspace only are dashed, faults are red."""
    edges = [((need.task, node.name), need.outcome) for node in nodes for need in node.needs]
    sizes = {node.name: _size(node) for node in nodes}
    layout = lay_out(sizes, (edge for edge, _ in edges), _SPACING)
    right, bottom = layout.right + _SPACING.margin, layout.bottom + _SPACING.margin
    arrows = [text for edge, outcome in edges for text in _arrow(layout, edge, outcome)]
    if layout.back:
        bottom += 2 * _SPACING.margin
        arrows += [_arrow_back(layout, edge, bottom) for edge in layout.back]
    drawn = [text for node in nodes for text in _box(node, layout.boxes[node.name])]
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


def _box(node: Node, box: Box) -> Iterator[str]:
    state = " fault" if node.fault else " elsewhere" if node.left_out else ""
    yield f"<g><title>{_escaped(chr(10).join([node.name, *_lines(node)]))}</title>"
    yield (
        f'<rect class="box{state}" x="{box.left:.1f}" y="{box.top:.1f}" width="{box.width:.1f}" '
        f'height="{box.height:.1f}" rx="6"/>'
    )
    for number, line in enumerate([node.name, *_lines(node)], 1):
        style = ' class="name"' if number == 1 else ""
        y = box.top + _PAD + number * _LINE - 5
        yield f'<text{style} x="{box.left + _PAD:.1f}" y="{y:.1f}">{_escaped(_cut(line))}</text>'
    yield "</g>"


def _arrow(layout: Layout, edge: Edge, outcome: str) -> Iterator[str]:
    """The curve of an arrow, and the outcome that it needs."""
    if edge in layout.back:
        return
    yield f'<path class="arrow" d="{layout.curve(edge)}" marker-end="url(#tip)"/>'
    if outcome:
        x, y = layout.label(edge)
        yield f'<text class="label" x="{x:.1f}" y="{y:.1f}">{_escaped(outcome)}</text>'


def _arrow_back(layout: Layout, edge: Edge, bottom: float) -> str:
    """An arrow from a task to one before it, below all boxes."""
    start, end = layout.ways[edge]
    x, other = start.left + 0.7 * start.width, end.left + 0.3 * end.width
    curve = f"M{x:.1f} {start.bottom:.1f} C{x:.1f} {bottom:.1f} {other:.1f} {bottom:.1f}"
    curve += f" {other:.1f} {end.bottom:.1f}"
    return f'<path class="arrow fault" d="{curve}" marker-end="url(#tip)"/>'


def _escaped(text: str) -> str:
    return escape("".join(c if c.isprintable() or c == "\n" else " " for c in text))
