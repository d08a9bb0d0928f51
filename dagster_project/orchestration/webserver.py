"""Dagster's webserver, which does what its own pages ask, and nothing that other sites' pages do.

Dagster's UI has no login: whoever reaches it may start runs. A browser reaches it for every page that
its person opens, so by itself the webserver obeys any of them: it takes mutations by GET, in forms and
in query strings, from every origin and under every host's name. In front of it stand two checks of
each request and each WebSocket:

- its ``Host`` is a loopback name, or one of ``WAREHOUSE_UI_HOSTS``: a name that somebody else's DNS
  lets point here is refused;
- it comes from the UI's own pages (``Origin``, ``Sec-Fetch-Site``) or from no browser, and what it
  wants done is in the JSON body of a POST. A link from elsewhere may open a page of the UI.

``python -m dagster_project.orchestration.webserver`` takes the options of ``dagster-webserver``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from dagster_webserver import cli
from starlette.datastructures import Headers
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from dagster_project.config.settings import load_settings
from dagster_project.monitoring.logs import configure_logs

LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")
_CREATES_APP: Final = "create_app_from_workspace_process_context"
_READING: Final = ("GET", "HEAD")
_OWN_SITE: Final = ("same-origin", "none")


def guarded(app: ASGIApp, hosts: Sequence[str] = ()) -> ASGIApp:
    """The app behind both checks; ``hosts``: names it goes by besides those of loopback."""
    return TrustedHostMiddleware(_OwnPages(app), [*LOOPBACK, *hosts], www_redirect=False)


class _OwnPages:
    """Lets through what the app's own pages, or no browser, ask in the one form that does something."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = why_refused(scope) if scope["type"] in ("http", "websocket") else None
        if refusal is None:
            await self._app(scope, receive, send)
        else:
            status, why = refusal
            await PlainTextResponse(f"{why}\n", status)(scope, receive, send)


def why_refused(scope: Scope) -> tuple[int, str] | None:
    """The status and the reason of a refusal; None: it may pass."""
    headers = Headers(scope=scope)
    method = scope.get("method", "GET")
    if _is_from_elsewhere(headers) and not _opens_a_page(scope, method, headers):
        return 403, "This request comes from another site."
    if scope["type"] == "websocket":
        return None
    if method in _READING:
        if _is_graphql(scope) and scope["query_string"]:
            return 405, "GraphQL is asked by POST."
        return None
    if method != "POST":
        return 405, "GET, HEAD and POST alone are served."
    if _media_types(headers) != ["application/json"]:
        return 415, "A POST carries application/json."
    if scope["query_string"] and not _is_graphql(scope):
        return 400, "A POST has its arguments in its body."
    return None


def _is_from_elsewhere(headers: Headers) -> bool:
    origins, host = headers.getlist("origin"), headers.get("host", "")
    if any(origin.partition("://")[2].lower() != host.lower() for origin in origins):
        return True
    return any(site not in _OWN_SITE for site in headers.getlist("sec-fetch-site"))


def _opens_a_page(scope: Scope, method: str, headers: Headers) -> bool:
    """A link from elsewhere, say in an alarm's message: a page of the UI on its own, not in a frame."""
    wanted = (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest"))
    is_page = wanted == ("navigate", "document") and scope["type"] == "http"
    return is_page and method == "GET" and "origin" not in headers and not _is_graphql(scope)


def _is_graphql(scope: Scope) -> bool:
    return str(scope["path"]).rstrip("/").endswith("/graphql")


def _media_types(headers: Headers) -> list[str]:
    return [value.partition(";")[0].strip().lower() for value in headers.getlist("content-type")]


def main() -> None:
    """``dagster-webserver`` with its options, its app guarded."""
    configure_logs()
    hosts = load_settings().ui_hosts
    create_app = getattr(cli, _CREATES_APP)

    def create_guarded_app(*args: Any, **kwargs: Any) -> ASGIApp:
        return guarded(create_app(*args, **kwargs), hosts)

    # Dagster has no setting for a layer of its own around the app.
    setattr(cli, _CREATES_APP, create_guarded_app)
    cli.cli()


if __name__ == "__main__":
    main()
