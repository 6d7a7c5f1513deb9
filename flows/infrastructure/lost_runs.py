"""Ends runs that went silent: those whose worker, or whose machine, was killed.

Runs of deployments send heartbeats; an automation, which Prefect documents for self-hosted servers, marks a run as
crashed that has sent none for as long as three of them take. Stages of `dvc repro` send none
(`flows.infrastructure.stage`): the run that started them does.
"""

import asyncio
from datetime import timedelta

from prefect.automations import Automation
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.settings import PREFECT_API_URL, temporary_settings

NAME = "end runs that went silent"
HEARTBEAT_SECONDS = 30  # the least that Prefect allows
SILENT_SECONDS = 3 * HEARTBEAT_SECONDS
HEARTBEATS = {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_SECONDS)}  # of a worker's environment


def watch_for_silence(api: str) -> None:
    """Makes the automation, or puts the one that is there right.

    Args:
        api: address of the server's API, such as http://127.0.0.1:4200/api.
    """
    heartbeat = "prefect.flow-run.heartbeat"
    ends = {f"prefect.flow-run.{end}" for end in ("Completed", "Failed", "Cancelled", "Crashed")}
    wanted = Automation(
        name=NAME,
        description="A run of a deployment that has sent no heartbeat for a while has lost its process.",
        trigger=EventTrigger(
            after={heartbeat},
            expect={heartbeat, *ends},
            match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=SILENT_SECONDS),
        ),
        actions=[
            ChangeFlowRunState(
                name=None,
                force=False,
                state=StateType.CRASHED,
                message=f"No sign of life for {SILENT_SECONDS} seconds: its worker was killed.",
            )
        ],
    )
    with temporary_settings({PREFECT_API_URL: api}):
        asyncio.run(_put(wanted))


async def _put(wanted: Automation) -> None:
    try:
        wanted.id = (await Automation.aread(name=wanted.name)).id
    except ValueError:  # as Prefect says that there is none
        await wanted.acreate()
        return
    await wanted.aupdate()
