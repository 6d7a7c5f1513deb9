"""What is said of a pick's latency and accuracy: what was asked, predicted and measured."""

from dass.search.result import SearchResult


def constraint_lines(found: SearchResult) -> list[str]:
    """A line for each limit on latency and accuracy that a search was given."""
    budget, lines = found.budget, []
    if found.latency is not None:
        more = f"; {found.missed} before it were slower when measured" if found.missed else ""
        on = f" on {found.timed_on}" if found.timed_on else ""
        lines.append(
            f"latency: {found.latency:.3g} ms measured at batch {budget.latency_batch}{on}, asked for "
            f"{budget.max_latency:g} ms{more}"
        )
    if budget.keep_accuracy is not None:
        floor = found.teacher_accuracy - budget.keep_accuracy
        asked = f"accuracy: at least {floor:.2f}% ({budget.keep_accuracy:g} points below the teacher) asked for"
        if found.probability is None:
            lines.append(
                f"{asked}; {found.pick.predicted:.2f}% predicted; method {found.method} gives no intervals, and so no "
                "probability: a prediction is reached about every other time"
            )
        else:
            few = "" if found.probability >= budget.keep_probability else "; NO candidate has that probability"
            lines.append(
                f"{asked} with a probability of {budget.keep_probability:.0%}; {found.pick.predicted:.2f}% predicted, "
                f"probability {found.probability:.0%}{few}"
            )
    return lines
