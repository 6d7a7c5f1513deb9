"""What is said of a pick's latency and accuracy: what was asked, predicted and measured."""

from dass.search.result import SearchResult


def constraint_lines(result: SearchResult) -> list[str]:
    """A line for each limit on latency and accuracy that a search was given."""
    budget, lines = result.budget, []
    if result.latency is not None:
        more = f"; {result.missed} before it were slower when measured" if result.missed else ""
        on = f" on {result.timed_on}" if result.timed_on else ""
        lines.append(
            f"latency: {result.latency:.3g} ms measured at batch {budget.latency_batch}{on}, asked for "
            f"{budget.max_latency:g} ms{more}"
        )
    if budget.keep_accuracy is not None:
        floor = result.teacher_accuracy - budget.keep_accuracy
        asked = f"accuracy: at least {floor:.2f}% ({budget.keep_accuracy:g} points below the teacher) asked for"
        if result.probability is None:
            lines.append(
                f"{asked}; {result.pick.predicted:.2f}% predicted; method {result.method} gives no intervals, and so "
                "no probability: a prediction is reached about every other time"
            )
        else:
            few = "" if result.probability >= budget.keep_probability else "; NO candidate has that probability"
            lines.append(
                f"{asked} with a probability of {budget.keep_probability:.0%}; {result.pick.predicted:.2f}% predicted, "
                f"probability {result.probability:.0%}{few}"
            )
    return lines
