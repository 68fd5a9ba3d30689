"""`localqueue open`: open the dashboard in a browser."""

from __future__ import annotations

import webbrowser

import click

from localqueue.cli.options import with_client
from localqueue.client.client import Client
from localqueue.core.text import safe


@click.command("open")
@click.option("--print", "is_printed", is_flag=True, help="Only print the URL.")
@with_client
def open_dashboard(client: Client, is_printed: bool) -> None:
    """Open the dashboard in a browser.

    If there is no browser, it prints the URL.
    """
    client.check()
    url = f"{client.url}/_localqueue/"
    if is_printed or not webbrowser.open(url):
        click.echo(safe(url))
