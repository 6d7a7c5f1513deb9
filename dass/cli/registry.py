"""`dass promote` and `dass rollback`: which version of a registered model is the champion."""

from typing import TYPE_CHECKING, Annotated

import typer

from dass.errors import UsageError
from dass.params_file import find_root

if TYPE_CHECKING:
    from dass.tracking.promotion import Verdict


def promote(
    model: Annotated[str, typer.Argument(help="models:/NAME/VERSION or models:/NAME@ALIAS.")],
    why: Annotated[
        str | None, typer.Option(help="Make it champion whatever the rule says; the reason is kept with it.")
    ] = None,
) -> None:
    """Make a version champion if it beats the present one on the same test images beyond chance, else challenger.

    Predictors keep no test images: for them, and to overrule the rule, give --why.

    Example: dass promote models:/dass-student-digits/3

    Example: dass promote models:/dass-predictor/2 --why "trained on twice the students"
    """
    from dass.tracking import promotion
    from dass.tracking.registry import registered
    from dass.tracking.store import open_store

    store = open_store(find_root())
    candidate = registered(store, model)
    reason = None if why is None else _given(why)
    _say(promotion.promote(store, candidate) if reason is None else promotion.crown(store, candidate, reason))


def rollback(
    name: Annotated[str, typer.Argument(help="Name of the registered model.")],
    why: Annotated[str, typer.Option(help="Kept with the version that is taken down; it cannot win again.")],
) -> None:
    """Make the version that was champion before the present one champion again.

    Example: dass rollback dass-student-digits --why "confuses 3 and 8 on the new camera"
    """
    from dass.tracking import promotion
    from dass.tracking.store import open_store

    _say(promotion.rollback(open_store(find_root()), name.removeprefix("models:/"), _given(why)))


def _given(why: str) -> str:
    if not why.strip():
        raise UsageError("--why: say it in a few words, they are kept with the version")
    return why.strip()


def _say(verdict: "Verdict") -> None:
    print(f"{verdict.name} version {verdict.version} is {verdict.alias}: {verdict.reason}")
    if verdict.version != verdict.champion:
        print(f"champion is version {verdict.champion}")
