"""Proxies that Prefect's client cannot use."""

import os

from dass.errors import UsageError
from dass.tracking.http_proxies import is_here, to_this_machine

_NAMES = ("http_proxy", "https_proxy", "all_proxy")


def settle_proxies(api: str) -> None:
    """Puts this process's proxies so that Prefect's client can be made, which fails at any that it cannot use.

    This machine's servers need none: where all are here, proxies that cannot be used are dropped.

    Args:
        api: address of the Prefect server's API, such as http://127.0.0.1:4200/api.

    Raises:
        UsageError: a server elsewhere needs proxies, and those that are named cannot be used.
    """
    os.environ.update(to_this_machine())
    import httpx

    try:
        httpx.Client().close()
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        named = [name for variable in _NAMES for name in (variable, variable.upper()) if os.environ.get(name)]
        tracking = os.environ.get("MLFLOW_TRACKING_URI", "")
        if is_here(api) and (not tracking.strip().lower().startswith("http") or is_here(tracking)):
            for name in named:
                del os.environ[name]
            return
        reason = "no library for SOCKS is installed" if isinstance(error, ImportError) else str(error)
        raise UsageError(
            f"the proxy named by {', '.join(named)} cannot be used: {reason}; correct or unset it"
        ) from error
