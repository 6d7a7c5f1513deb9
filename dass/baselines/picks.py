"""Which of a search's candidates each method picks: what Tables 4, 5 and 7 start from."""

from collections.abc import Sequence
from dataclasses import dataclass

from dass.baselines.scores import Scores
from dass.method_names import REFERENCE
from dass.search.candidates import Candidate
from dass.search.result import SearchResult
from dass.search.select import pick


@dataclass(frozen=True)
class Pick:
    """What a method picks.

    Attributes:
        method: name of the method.
        candidate: with the method's score as its prediction.
    """

    method: str
    candidate: Candidate


# What searches are called that no method of the comparison is: a multi-fidelity search, and a race.
SEARCHES = {"dass": REFERENCE, "multi_fidelity": "multi_fidelity", "race": "race"}


def searcher(search: SearchResult) -> str:
    """By whom a search was made: DaSS, the multi-fidelity predictor or a race."""
    return SEARCHES[search.method]


def picks_of(methods: Sequence[str], scores: Sequence[Scores], search: SearchResult, seed: int) -> list[Pick]:
    """The best-scored candidate within the search's constraints, of each method that scored the candidates.

    All methods choose among the same candidates, and by the same rule (`dass.search.select.pick`): of equal scores
    the one with fewer MACs, and a score that is not finite never where there is a finite one. A method that failed
    has no pick.

    Args:
        methods: their names; the pick of the search's own is the search's.
        scores: scores of one target.
        search: search of that target.
        seed: whose scores are taken, of a method that has several.
    """
    architectures = [candidate.architecture for candidate in search.ranking]
    by_method = {
        item.method: item for item in scores if item.sample == "candidates" and item.seed == seed and not item.failure
    }
    picks = []
    for method in methods:
        if method == searcher(search):
            picks.append(Pick(method, search.pick))
        elif method in by_method:
            values = by_method[method].of(architectures).tolist()
            scored = [
                Candidate(candidate.architecture, value, candidate.cost)
                for candidate, value in zip(search.ranking, values, strict=True)
            ]
            picks.append(Pick(method, pick(scored, search.constraints)))
    return picks
