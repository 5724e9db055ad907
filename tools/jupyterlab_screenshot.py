"""Open notebooks in JupyterLab as a person would, run all cells, and keep pictures of what they look like.

    make screenshot                                        # notebooks/explore.ipynb, light and dark
    .venv/bin/python tools/jupyterlab_screenshot.py notebooks/report.ipynb --theme dark --out /tmp

A headless Chromium opens each notebook in a JupyterLab of its own (a free port, a copy of the notebooks,
settings of its own), runs all cells, moves the first slider and presses the first button, if there are any.
It fails, and says where, if a cell ends in an error, if one did not run, if a widget is not displayed, or if
moving a control changes nothing. The pictures are for looking at.

Needs the extra `browser` (selenium), and a Chromium with its driver (Debian: chromium, chromium-driver).
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
)  # fmt: skip
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
WIDTH = 1200
START_SECONDS = 90
ERROR = "application/vnd.jupyter.error"
BUTTON = ".jp-OutputArea-output button.jupyter-button"


class LookError(Exception):
    """What is wrong with a notebook, or missing on this machine."""


@contextmanager
def jupyterlab(theme: str, folder: Path) -> Iterator[str]:
    """Run a JupyterLab in a copy of the notebooks; yields its address, with `{}` for the path."""
    notebooks = folder / "notebooks"
    ignore = shutil.ignore_patterns(".ipynb_checkpoints", "results")
    shutil.copytree(ROOT / "notebooks", notebooks, ignore=ignore)
    shutil.copytree(ROOT / "results" / "example", notebooks / "results" / "example")
    settings = folder / "settings"
    for name, values in {
        "apputils-extension/themes": {"theme": THEMES[theme]},
        "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
        # All cells are in the page, not only those in sight.
        "notebook-extension/tracker": {"windowingMode": "none"},
    }.items():
        path = settings / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values), encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    places = {
        "JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
    }  # fmt: skip
    environment = os.environ | {name: str(folder / place) for name, place in places.items()}
    log = folder / "jupyterlab.log"
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser",
        "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0",
        f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}",
    ]  # fmt: skip
    with log.open("w", encoding="utf-8") as stream:
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=stream, stderr=stream)
        try:
            wait_for(server, f"http://127.0.0.1:{port}/api/status?token={token}", log)
            yield f"http://127.0.0.1:{port}/doc/tree/{{}}?token={token}"
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def wait_for(server: subprocess.Popen[bytes], address: str, log: Path) -> None:
    """Wait until the server answers."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        if server.poll() is not None or time.monotonic() > deadline:
            raise LookError(f"JupyterLab did not start:\n{log.read_text(encoding='utf-8')[-2000:]}")
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)


@contextmanager
def chromium(folder: Path) -> Iterator[Any]:
    """Run a headless Chromium."""
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError as error:
        raise LookError(f"{error}: .venv/bin/python -m pip install -e '.[browser]'") from error
    browser = next((found for found in map(shutil.which, BROWSERS) if found), None)
    driver_path = shutil.which("chromedriver")
    if browser is None or driver_path is None:
        missing = "chromium" if browser is None else "chromedriver"
        raise LookError(f"{missing} is not installed: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS, f"--window-size={WIDTH},1400", f"--user-data-dir={folder / 'browser'}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=Service(driver_path))
    try:
        yield driver
    finally:
        driver.quit()


def run_all(driver: Any, address: str, timeout_seconds: float) -> None:
    """Open a notebook, wait for its kernel, run all cells, save."""
    driver.get(address)
    ready = """
        const panel = window.jupyterapp && window.jupyterapp.shell.currentWidget;
        const kernel = panel && panel.sessionContext && panel.sessionContext.session
            && panel.sessionContext.session.kernel;
        return Boolean(panel && panel.context && panel.context.isReady && kernel && kernel.status === 'idle');
    """
    wait_until(driver, ready, START_SECONDS, "the notebook's kernel did not start")
    # Begun, then asked for: one call as long as all cells would run into the time limit of the driver.
    driver.execute_script("""
        window.hmexpRun = 'running';
        window.jupyterapp.commands.execute('notebook:run-all-cells')
            .then(() => window.jupyterapp.commands.execute('docmanager:save'))
            .then(() => { window.hmexpRun = 'done'; }, error => { window.hmexpRun = String(error); });
    """)
    wait_until(driver, "return window.hmexpRun !== 'running';", timeout_seconds, "cells are still running")
    outcome = driver.execute_script("return window.hmexpRun;")
    if outcome != "done":
        raise LookError(f"running all cells failed: {outcome}")


def wait_until(driver: Any, condition: str, seconds: float, otherwise: str) -> None:
    """Wait until a piece of JavaScript returns something true."""
    deadline = time.monotonic() + seconds
    while not driver.execute_script(condition):
        if time.monotonic() > deadline:
            raise LookError(f"{otherwise} (after {seconds:.0f} s)")
        time.sleep(0.3)


def check_saved(path: Path) -> list[str]:
    """What is wrong with the notebook as JupyterLab saved it."""
    wrong = []
    for number, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"], start=1):
        if cell["cell_type"] != "code":
            continue
        if cell["execution_count"] is None:
            wrong.append(f"cell {number} was not run")
        for output in cell["outputs"]:
            if output["output_type"] == "error":
                wrong.append(f"cell {number}: {output['ename']}: {output['evalue']}")
            elif output.get("name") == "stderr":
                wrong.append(f"cell {number} wrote to stderr: {''.join(output['text'])[:300]}")
    return wrong


def check_page(driver: Any) -> list[str]:
    """What is wrong with the page as it is shown."""
    wrong = []
    errors = driver.execute_script(f"""return [...document.querySelectorAll('[data-mime-type="{ERROR}"]')]
        .map(node => node.innerText.slice(0, 300));""")
    wrong += [f"an error is shown: {text}" for text in errors]
    text = driver.execute_script("return document.body.innerText")
    wrong += [
        f"the page says {said!r}" for said in ("Error displaying widget", "Loading widget") if said in text
    ]
    # A widget that is not displayed leaves its plain text behind.
    wrong += ["a widget is shown as text"] if "VBox(children" in text else []
    return wrong


PICTURE = """
    const area = document.querySelector(arguments[0])?.closest('.jp-OutputArea');
    if (!area) return null;
    const parts = area.querySelectorAll(':scope > .jp-OutputArea-child');
    return parts[parts.length - 1].innerText;
"""


def play(driver: Any, timeout_seconds: float) -> list[str]:
    """Move the first slider and press the first button; the picture below each has to change."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    wrong = []
    for what, selector, keys in (
        ("the first slider", ".jp-OutputArea-output .widget-slider .noUi-handle", Keys.ARROW_RIGHT),
        ("the first button", BUTTON, Keys.ENTER),
    ):
        before = driver.execute_script(PICTURE, selector)
        if before is None:
            continue
        driver.find_element(By.CSS_SELECTOR, selector).send_keys(keys)
        deadline = time.monotonic() + timeout_seconds
        while (after := driver.execute_script(PICTURE, selector)) == before or "Measuring ..." in after:
            if time.monotonic() > deadline:
                wrong.append(f"moving {what} changed nothing")
                break
            time.sleep(0.3)
        else:
            print(f"  {what}: the picture follows")
    return wrong


def photograph(driver: Any, path: Path) -> None:
    """Save a picture of the whole notebook."""
    height = driver.execute_script("""
        const nodes = [...document.querySelectorAll('.jp-NotebookPanel *')];
        return Math.max(...nodes.map(node => node.scrollHeight));
    """)
    driver.set_window_size(WIDTH, min(int(height) + 300, 16000))
    time.sleep(1)
    bottom = driver.execute_script("""
        document.querySelectorAll('.jp-NotebookPanel *').forEach(node => { node.scrollTop = 0; });
        document.activeElement?.blur();
        const cells = document.querySelectorAll('.jp-NotebookPanel .jp-Cell');
        return cells[cells.length - 1].getBoundingClientRect().bottom;
    """)
    time.sleep(1)
    path.parent.mkdir(parents=True, exist_ok=True)
    driver.save_screenshot(str(path))
    with Image.open(path) as picture:
        # Below the last cell there is room to scroll, and nothing to see.
        cropped = picture.crop((0, 0, picture.width, min(int(bottom) + 20, picture.height)))
    cropped.save(path, optimize=True)


def look_at(notebook: Path, theme: str, out: Path, timeout_seconds: float) -> list[str]:
    """Run one notebook in one theme; returns what is wrong."""
    if notebook.parent != ROOT / "notebooks" or not notebook.is_file():
        raise LookError(f"{notebook} is not a notebook in {ROOT / 'notebooks'}")
    with tempfile.TemporaryDirectory(prefix="hmexp-lab-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with jupyterlab(theme, folder) as address, chromium(folder) as driver:
            run_all(driver, address.format(f"notebooks/{notebook.name}"), timeout_seconds)
            wrong = [*check_saved(folder / "notebooks" / notebook.name), *check_page(driver)]
            if not wrong:
                wrong = play(driver, timeout_seconds)
                wrong += check_page(driver)
            picture = out / f"{notebook.stem}-{theme}.png"
            photograph(driver, picture)
            print(f"{picture}: {'look at it' if not wrong else 'see what is wrong'}")
            return wrong


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = [ROOT / "notebooks" / "explore.ipynb"]
    parser.add_argument("notebooks", nargs="*", type=Path, default=default, help="(default: explore.ipynb)")
    parser.add_argument("--theme", choices=[*THEMES, "both"], default="both")
    parser.add_argument(
        "--out", type=Path, default=ROOT / ".make" / "screenshots", help="folder of the pictures"
    )
    parser.add_argument(
        "--timeout", type=float, default=600.0, help="for running all cells [s] (default: 600)"
    )
    options = parser.parse_args()
    wrong = []
    try:
        for notebook in options.notebooks:
            for theme in THEMES if options.theme == "both" else [options.theme]:
                found = look_at(notebook.resolve(), theme, options.out.resolve(), options.timeout)
                wrong += [f"{notebook.name}, {theme}: {text}" for text in found]
    except LookError as failure:
        wrong.append(str(failure))
    for text in wrong:
        print(f"error: {text}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
