"""Places the boxes of a graph in layers, so that arrows go one way and few of them cross."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

Edge = tuple[str, str]
Size = tuple[float, float]  # width and height

_SWEEPS = 4
# A place in a layer: a box, or the number of an arrow that passes by.
_Place = str | tuple[str, str, int]
_Layers = list[list[_Place]]


@dataclass(frozen=True)
class Spacing:
    """The space around the graph, between its layers, and between the boxes of a layer."""

    margin: float
    between: float
    beside: float


@dataclass(frozen=True)
class Box:
    """Where a box stands, or an arrow passes by."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Its right side."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """Its lower side."""
        return self.top + self.height

    def side(self, is_across: bool, is_end: bool) -> tuple[float, float]:
        """The middle of the side where arrows leave it, or where they end."""
        if is_across:
            return (self.left if is_end else self.right), self.top + self.height / 2
        return self.left + self.width / 2, (self.top if is_end else self.bottom)


@dataclass(frozen=True)
class Layout:
    """A graph with places.

    Attributes:
        ways: the boxes and places that each arrow goes through.
        back: the arrows that do not go to a later layer: their boxes depend on each other.
        is_across: whether the layers are columns, from left to right, or rows.
    """

    boxes: Mapping[str, Box]
    ways: Mapping[Edge, Sequence[Box]]
    back: Sequence[Edge]
    is_across: bool

    @property
    def right(self) -> float:
        """Where its last box ends."""
        return max((box.right for box in self.boxes.values()), default=0)

    @property
    def bottom(self) -> float:
        """Where its lowest box ends."""
        return max((box.bottom for box in self.boxes.values()), default=0)

    def curve(self, edge: Edge) -> str:
        """The path of an arrow, as SVG writes it."""
        first, *others = self.ways[edge]
        x, y = first.side(self.is_across, is_end=False)
        path = [f"M{x:.1f} {y:.1f}"]
        for box in others:
            to_x, to_y = box.side(self.is_across, is_end=True)
            half_x, half_y = ((to_x - x) / 2, 0.0) if self.is_across else (0.0, (to_y - y) / 2)
            path.append(f"C{x + half_x:.1f} {y + half_y:.1f}")
            path.append(f"{to_x - half_x:.1f} {to_y - half_y:.1f} {to_x:.1f} {to_y:.1f}")
            x, y = box.side(self.is_across, is_end=False)
            if box is not others[-1]:
                path.append(f"H{x:.1f}" if self.is_across else f"V{y:.1f}")
        return " ".join(path)

    def label(self, edge: Edge) -> tuple[float, float]:
        """Where the label of an arrow stands: half-way to the next layer."""
        source, goal = self.ways[edge][:2]
        start = source.side(self.is_across, is_end=False)
        end = goal.side(self.is_across, is_end=True)
        return (start[0] + end[0]) / 2, (start[1] + end[1]) / 2


def lay_out(
    sizes: Mapping[str, Size], edges: Iterable[Edge], spacing: Spacing, is_across: bool = True
) -> Layout:
    """Place each box in the layer after the last of those that lead to it.

    Args:
        sizes: of each box; the boxes of a layer are as deep as the deepest of them.
        edges: the arrows; those of a circle that lead back do not count for the layers.
    """
    edges = [*dict.fromkeys(edges)]
    steps = _steps(sizes, edges)
    forward = [edge for edge in edges if steps[edge[0]] < steps[edge[1]]]
    paths = {edge: _path(edge, steps) for edge in forward}
    layers = _ordered(_layers(steps, paths.values()), paths.values())
    places = _places(layers, sizes, spacing, is_across)
    back = [edge for edge in edges if edge not in paths]
    ways = {edge: [places[place] for place in path] for edge, path in paths.items()}
    ways |= {edge: [places[edge[0]], places[edge[1]]] for edge in back}
    return Layout({name: places[name] for name in sizes}, ways, back, is_across)


def _steps(names: Iterable[str], edges: Sequence[Edge]) -> dict[str, int]:
    """The layer of each box."""
    before: dict[str, list[str]] = {name: [] for name in names}
    for source, goal in edges:
        before[goal].append(source)
    try:
        order = [*TopologicalSorter(before).static_order()]
    except CycleError:
        order = [*before]
    steps: dict[str, int] = {}
    for name in order:
        steps[name] = max((steps[b] + 1 for b in before[name] if b in steps), default=0)
    return {name: steps[name] for name in before}


def _path(edge: Edge, steps: Mapping[str, int]) -> list[_Place]:
    """What an arrow goes through: a place in every layer that it crosses."""
    source, goal = edge
    crossed = range(steps[source] + 1, steps[goal])
    return [source, *((source, goal, step) for step in crossed), goal]


def _layers(steps: Mapping[str, int], paths: Iterable[Sequence[_Place]]) -> _Layers:
    layers: _Layers = [[] for _ in range(max(steps.values(), default=-1) + 1)]
    for name, step in steps.items():
        layers[step].append(name)
    for _, *points, _ in paths:
        for point in points:
            layers[int(point[2])].append(point)
    return layers


def _ordered(layers: _Layers, paths: Iterable[Sequence[_Place]]) -> _Layers:
    """Each layer in the order of its neighbours, so that few arrows cross."""
    before: dict[_Place, list[_Place]] = {}
    after: dict[_Place, list[_Place]] = {}
    for one, other in itertools.chain.from_iterable(map(itertools.pairwise, paths)):
        before.setdefault(other, []).append(one)
        after.setdefault(one, []).append(other)
    for sweep in range(_SWEEPS):
        near, found = (before, layers) if sweep % 2 == 0 else (after, layers[::-1])
        for fixed, layer in itertools.pairwise(found):
            rank = {place: number for number, place in enumerate(fixed)}
            middles = {
                place: _mean([rank[p] for p in near.get(place, ()) if p in rank], number)
                for number, place in enumerate(layer)
            }
            layer.sort(key=lambda place: middles[place])
    return layers


def _mean(numbers: Sequence[int], otherwise: float) -> float:
    return sum(numbers) / len(numbers) if numbers else otherwise


def _places(
    layers: _Layers, sizes: Mapping[str, Size], spacing: Spacing, is_across: bool
) -> dict[_Place, Box]:
    """Each layer in the middle of the graph."""
    across = 1 if is_across else 0  # the side of a box along its layer
    found: dict[_Place, Box] = {}
    extents = [[sizes[p][across] if isinstance(p, str) else 0.0 for p in layer] for layer in layers]
    lengths = [sum(extent) + spacing.beside * (len(extent) - 1) for extent in extents]
    start = spacing.margin
    for layer, extent, length in zip(layers, extents, lengths, strict=True):
        deep = max(sizes[p][1 - across] for p in layer if isinstance(p, str))
        at = spacing.margin + (max(lengths) - length) / 2
        for place, size in zip(layer, extent, strict=True):
            found[place] = Box(start, at, deep, size) if is_across else Box(at, start, size, deep)
            at += size + spacing.beside
        start += deep + spacing.between
    return found
