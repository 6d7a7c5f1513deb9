"""Draws the picture of the README: python docs/images/idea.py writes idea.svg beside this file."""

from pathlib import Path

SIZE = (960, 340)
BAR = 10  # height of a block
INK, PALE, BLUE, ORANGE, GREEN = "#1f2937", "#94a3b8", "#3b6fb6", "#d9822b", "#2e8b57"
FONT = "font-family='Helvetica, Arial, sans-serif'"
TEACHER = ((100, 100, 100), (120, 120, 120), (140, 140, 140), (160, 160, 160))
STUDENTS = (
    ((50, 100), (60, 120), (70, 140), (80, 160)),
    ((100,), (60, 30, 120), (140,), (40, 160)),
    ((25, 50, 100), (30, 120), (35, 140), (160,)),
)


def text(x: float, y: float, words: str, *, size: int = 14, color: str = INK, weight: str = "normal") -> str:
    """A line of text around x."""
    return (
        f"<text x='{x:g}' y='{y:g}' {FONT} font-size='{size}' font-weight='{weight}' fill='{color}' "
        f"text-anchor='middle'>{words}</text>"
    )


def network(x: float, y: float, stages: tuple[tuple[int, ...], ...], color: str, scale: float) -> list[str]:
    """Bars from the bottom up, one for each block, as wide as the block; x is the middle, y the bottom."""
    drawn = []
    for stage in stages:
        for width in stage:
            y -= BAR
            side = width * scale
            drawn.append(
                f"<rect x='{x - side / 2:g}' y='{y:g}' width='{side:g}' height='{0.7 * BAR:g}' rx='1.5' "
                f"fill='{color}'/>"
            )
        y -= BAR / 2
    return drawn


def arrow(x: float, y: float, length: float) -> str:
    """An arrow to the right."""
    return f"<path d='M{x:g} {y:g} h{length:g}' stroke='{INK}' stroke-width='2' marker-end='url(#tip)'/>"


def predictions(x: float, y: float) -> list[str]:
    """Predicted accuracies with intervals over cost, a limit of cost, and the pick."""
    drawn = [
        f"<path d='M{x:g} {y - 120:g} V{y:g} H{x + 190:g}' fill='none' stroke='{INK}' stroke-width='1.5'/>",
        f"<path d='M{x + 118:g} {y - 120:g} V{y:g}' stroke='{PALE}' stroke-width='1.5' stroke-dasharray='5 4'/>",
        text(x + 95, y + 18, "cost of a student", size=12),
        text(x + 152, y - 106, "your limit", size=12, color=PALE),
        f"<g transform='rotate(-90 {x - 8:g} {y - 60:g})'>{text(x - 8, y - 60, 'predicted accuracy', size=12)}</g>",
    ]
    for dx, dy, half, color in (
        (22, 22, 14, BLUE), (48, 50, 12, BLUE), (70, 42, 16, BLUE), (98, 82, 11, GREEN), (106, 58, 13, BLUE),
        (140, 78, 14, PALE), (170, 92, 10, PALE),
    ):  # fmt: skip
        drawn.append(f"<path d='M{x + dx:g} {y - dy - half:g} v{2 * half:g}' stroke='{color}' stroke-width='2'/>")
        drawn.append(f"<circle cx='{x + dx:g}' cy='{y - dy:g}' r='4.5' fill='{color}'/>")
    drawn.append(text(x + 84, y - 100, "pick", size=13, color=GREEN, weight="bold"))
    return drawn


def picture() -> str:
    """The picture as SVG."""
    width, height = SIZE
    middle = 140
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' role='img' "
        "aria-label='From a teacher and images to a small student'>",
        f"<defs><marker id='tip' viewBox='0 0 10 10' refX='8' refY='5' markerWidth='6' markerHeight='6' "
        f"orient='auto'><path d='M0 0 L10 5 L0 10 z' fill='{INK}'/></marker></defs>",
        f"<rect width='{width}' height='{height}' fill='white'/>",
        text(95, 40, "1. Your teacher", weight="bold"),
        *network(95, 210, TEACHER, BLUE, 1.0),
        text(95, 236, "and your images", size=12),
        arrow(190, middle, 40),
        text(330, 40, "2. Its students", weight="bold"),
        *(bar for index, student in enumerate(STUDENTS)
          for bar in network(270 + 60 * index, 196, student, ORANGE, 0.36)),
        text(330, 218, "fewer blocks, narrower blocks,", size=12),
        text(330, 234, "the teacher's weights", size=12),
        arrow(430, middle, 40),
        text(590, 40, "3. Predict before training", weight="bold"),
        *predictions(500, 196),
        text(590, 234, "from cheap measurements", size=12),
        arrow(715, middle, 40),
        text(850, 40, "4. Distil the pick", weight="bold"),
        *network(850, 196, STUDENTS[0], GREEN, 0.8),
        text(850, 218, "registered, traced, served,", size=12),
        text(850, 234, "exported to ONNX", size=12),
        f"<rect x='410' y='268' width='360' height='60' rx='8' fill='none' stroke='{PALE}' stroke-width='1.5'/>",
        text(590, 294, "The predictor is learned once, from other", size=13),
        text(590, 313, "teachers, students and images.", size=13),
        f"<path d='M590 268 V244' stroke='{INK}' stroke-width='2' marker-end='url(#tip)'/>",
        "</svg>",
    ]  # fmt: skip
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    Path(__file__).with_suffix(".svg").write_text(picture())
