"""The notebook for exploring in JupyterLab itself, in a headless browser: cells run, sliders redraw, themes work."""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from analysis.outlets.report import NOTEBOOKS
from tests.analysis.chromium import PATIENCE_S, Page, browser_page

OWN_FOLDERS = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_SETTINGS_DIR",
               "JUPYTERLAB_WORKSPACES_DIR", "IPYTHONDIR")  # fmt: skip
"""Where Jupyter would read and leave what belongs to whoever runs the test."""

PICTURE = "document.querySelector('.dpn-explore img.light')"


@contextmanager
def jupyterlab(folder: Path) -> Iterator[str]:
    """JupyterLab on a folder, reachable from this machine with a token; yields the address of the notebook."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}",
        "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}", f"--notebook-dir={folder}",
        "--expose-app-in-browser", "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]  # fmt: skip
    settings = {name: str(folder / "jupyter" / name.lower()) for name in OWN_FOLDERS}
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(command, env={**os.environ, **settings}, stdout=log, stderr=log)
        try:
            await_server(f"http://127.0.0.1:{port}/api", server, folder / "server.log")
            yield f"http://127.0.0.1:{port}/lab/tree/explore.ipynb?token={token}"
        finally:
            server.terminate()  # it stops its kernels before it ends
            try:
                server.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def await_server(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and server.poll() is None:
        try:
            urlopen(address).close()
        except URLError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"JupyterLab did not start; its last words: {log.read_text()[-2000:]}")


def open_and_run(page: Page, address: str) -> None:
    """Opens the notebook as a reader would, in a window high enough for all of it, and runs all cells."""
    page.ask("Emulation.setDeviceMetricsOverride", width=1280, height=4400, deviceScaleFactor=1, mobile=False)
    page.ask("Page.navigate", url=address)
    page.wait("!!window.jupyterapp && document.querySelectorAll('.jp-Notebook .jp-CodeCell').length > 5")
    page.wait("document.querySelector('.jp-Notebook-ExecutionIndicator')?.dataset.status === 'idle'")
    assert page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')") is True, "a cell failed"
    page.wait("document.querySelectorAll('.dpn-explore').length === 3")


def control(description: str, part: str) -> str:
    """A part of the first widget of that description, as an expression of the page."""
    return (
        "[...document.querySelectorAll('.jupyter-widgets')]"
        f""".find(one => one.querySelector(':scope > .widget-label')?.textContent === "{description}")"""
        f".querySelector('{part}')"
    )


def sees(page: Page, theme: str) -> bool:
    """Whether the pictures of that theme are shown, and no others."""
    shown = "[...document.querySelectorAll('.dpn-explore img')].filter(one => one.clientWidth > 0)"
    return page.evaluate(f"{shown}.length === 3 && {shown}.every(one => one.className === '{theme}')")


@pytest.mark.slow
def test_the_notebook_in_jupyterlab(tmp_path: Path) -> None:
    shutil.copy(NOTEBOOKS / "explore.ipynb", tmp_path)  # JupyterLab saves outputs into the notebook that it shows
    with browser_page() as page, jupyterlab(tmp_path) as address:
        open_and_run(page, address)
        assert page.evaluate("document.querySelectorAll('.jp-OutputArea [role=alert]').length") == 0
        assert page.evaluate(f"{PICTURE}.naturalWidth === {PICTURE}.clientWidth"), "shrunk pixels draw lattices"
        assert sees(page, "light")

        before = page.evaluate(f"{PICTURE}.src")
        assert "unit (32, 24)" in page.evaluate(f"{PICTURE}.alt")
        page.evaluate(control("unit row", ".noUi-handle") + ".focus()")
        page.press("ArrowUp")
        page.wait(f"{PICTURE}.alt.includes('unit (33, 24)')")
        moved = page.evaluate(f"{PICTURE}.src")
        assert moved != before

        text = control("dilations", "input")
        page.evaluate(f"{text}.focus(), {text}.select()")
        page.ask("Input.insertText", text="32,sixteen")
        page.press("Tab")
        page.wait("document.querySelectorAll('.jp-OutputArea [role=alert]').length === 1")
        assert page.evaluate(f"{PICTURE}.src") == moved

        page.evaluate(
            "window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'}).then(Boolean)"
        )
        page.wait("document.body.dataset.jpThemeLight === 'false'")
        assert sees(page, "dark")
