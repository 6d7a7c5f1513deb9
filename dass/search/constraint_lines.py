"""What is said of a pick's latency and accuracy: what was asked, predicted and measured."""

from dass.search.run import SearchResult


def constraint_lines(found: SearchResult) -> list[str]:
    """A line for each limit on latency and accuracy that a search was given."""
    budget, lines = found.budget, []
    if found.latency is not None:
        more = f"; {found.missed} before it were slower when measured" if found.missed else ""
        lines.append(
            f"latency: {found.latency:.3g} ms measured, asked for {budget.max_latency:g} ms at batch "
            f"{budget.latency_batch}{more}"
        )
    if budget.keep_accuracy is not None:
        floor = found.teacher_accuracy - budget.keep_accuracy
        known = found.probability is not None
        chance = (
            f", with probability {found.probability:.0%}"
            if known
            else "; only a multi-fidelity predictor gives a probability"
        )
        lines.append(
            f"accuracy: {'predicted' if found.pick.predicted >= floor else 'NOT predicted'} to be at least "
            f"{floor:.2f}% ({budget.keep_accuracy:g} points below the teacher){chance}"
        )
    return lines
