"""MLflow's web pages for a tracking store, as an application that a web server runs in its own process."""

import os
from typing import Any

from dass.tracking.store import Store, import_quietly


def pages_app(store: Store) -> Any:
    """MLflow's own server as an ASGI application; call it once in a process, before anything else of `mlflow.server`.

    It starts no job runner (ten processes for what is not used here), and serves files only as its pages show them.

    Args:
        store: an open store that is no web server itself.
    """
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    import_quietly("mlflow.server")
    from mlflow.server.constants import ARTIFACT_ROOT_ENV_VAR, BACKEND_STORE_URI_ENV_VAR, REGISTRY_STORE_URI_ENV_VAR

    os.environ[BACKEND_STORE_URI_ENV_VAR] = os.environ[REGISTRY_STORE_URI_ENV_VAR] = store.uri
    os.environ[ARTIFACT_ROOT_ENV_VAR] = str(store.artifact_root)
    import_quietly("mlflow.server.fastapi_app")
    from mlflow.server.fastapi_app import app

    return app
