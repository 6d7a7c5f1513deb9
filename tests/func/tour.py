"""A person's first walk through both pages: start a search on the form, see what it leaves, look at it in MLflow.

`python -m tests.func.tour PREFECT MLFLOW FOLDER` walks through pages that are served now and keeps the pictures;
those in docs/images were taken so, after `make repro` on the demo preset.
"""

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.func.browser import Browser

TEACHER = "data/teachers/targets/digits/digits.safetensors"


@dataclass(frozen=True)
class Tour:
    """A walk.

    Attributes:
        browser: that it is done with.
        prefect: address of Prefect's page.
        mlflow: address of MLflow's page.
        folder: where the pictures go.
    """

    browser: Browser
    prefect: str
    mlflow: str
    folder: Path

    def start_a_search(self, max_macs: str) -> None:
        """From the list of deployments over the form to a run, which is waited for."""
        browser = self.browser
        browser.open(f"{self.prefect}/deployments")
        browser.wait_for("pipeline", "search-students", "distil-student", "build-database", "meta-train")
        browser.picture(self.folder / "prefect-deployments.png")
        browser.click("search-students")
        browser.wait_for("Work Queue", "Configuration")
        browser.press("Run")
        browser.click("Custom run")
        browser.wait_for("in millions of multiply-accumulates per image", "Submit")
        browser.fill("dataset", "digits")
        browser.fill("teacher", TEACHER)
        browser.click("float")
        browser.fill("max_macs", max_macs)
        browser.choose("then", "register")
        browser.picture(self.folder / "prefect-form.png")
        browser.press("Submit")
        browser.click("View run")
        browser.wait_for("Task Runs", "Artifacts")
        browser.wait_for("Retry", seconds=200)  # what an ended run offers
        browser.wait_for("Completed")

    def look_at_what_it_left(self) -> str:
        """The run's page, its table and picture; over its link to the MLflow run. Gives the table's text."""
        browser, run = self.browser, self.browser.address()
        browser.click("Artifacts")
        browser.wait_for("ranking-digits", "pareto-digits", "search-digits")
        browser.picture(self.folder / "prefect-run.png")
        browser.click("ranking-digits")
        browser.wait_for("predicted accuracy", "depths / widths")
        browser.picture(self.folder / "prefect-ranking.png")
        ranking = browser.text()
        browser.open(run)
        browser.click("Artifacts")
        browser.click("pareto-digits")
        browser.wait_for("Predicted accuracy against multiply-accumulates")
        browser.wait_until("[...document.images].some(image => image.naturalWidth > 500)")
        browser.picture(self.folder / "prefect-pareto.png")
        browser.open(run)
        browser.click("Artifacts")
        browser.wait_for("ranking-digits")
        browser.click("search-digits", which=-1)
        browser.wait_for("MLflow run", "Distilled:")
        browser.open(browser.evaluate("[...document.links].find(link => link.innerText.includes('MLflow run')).href"))
        browser.wait_for("predicted_accuracy", "distilled_accuracy", "teacher_id")
        return ranking

    def look_around_in_mlflow(self) -> None:
        """The run's picture, the list of runs, the registered model with its card."""
        browser = self.browser
        browser.press("Close")  # of the assistant's panel
        browser.click("Artifacts")
        browser.click("pareto.png")
        browser.wait_until("[...document.images].some(image => image.naturalWidth > 500)")
        browser.picture(self.folder / "mlflow-run.png")
        browser.open(f"{self.mlflow}/#/experiments")
        browser.wait_for("dass/students", "dass/targets")
        students = "[...document.links].find(link => link.innerText === 'dass/students').href"
        browser.open(browser.evaluate(students).split("?")[0] + "/runs?workflowType=machine_learning")
        browser.wait_for("matching run", "Run Name")
        browser.picture(self.folder / "mlflow-runs.png")
        browser.open(f"{self.mlflow}/#/models/dass-student-digits")
        browser.wait_for("Version 1", "champion")
        browser.click("Version 1")
        browser.wait_for("How it was made", "Distilled accuracy", "champion")
        browser.picture(self.folder / "mlflow-model.png")


def main() -> None:
    """Walks through pages that are served now."""
    prefect, mlflow, folder = sys.argv[1:]
    with tempfile.TemporaryDirectory() as profile, Browser(Path(profile) / "profile") as browser:
        tour = Tour(browser, prefect, mlflow, Path(folder))
        tour.start_a_search("1.5")
        tour.look_at_what_it_left()
        tour.look_around_in_mlflow()


if __name__ == "__main__":
    main()
