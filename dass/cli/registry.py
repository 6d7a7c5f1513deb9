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
        str | None, typer.Option(help="Reason to make the version champion in any case. It is kept with the version.")
    ] = None,
) -> None:
    """Make a version champion if it clearly beats the champion on the same test images, else challenger.

    Predictors keep no test images: give --why for them, and to decide against the rule.

    Example: dass promote models:/dass-student-digits/3

    Example: dass promote models:/dass-predictor/2 --why "trained on twice the students"
    """
    from dass.tracking import promotion
    from dass.tracking.registry import registered
    from dass.tracking.store import open_store

    store = open_store(find_root())
    candidate = registered(store, model)
    reason = None if why is None else _given(why)
    _say(promotion.promote(store, candidate) if reason is None else promotion.make_champion(store, candidate, reason))


def rollback(
    name: Annotated[str, typer.Argument(help="Name of the registered model.")],
    why: Annotated[
        str,
        typer.Option(
            help="Reason. It is kept with the present version, which cannot become champion again by the rule."
        ),
    ],
) -> None:
    """Make the previous champion champion again.

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
