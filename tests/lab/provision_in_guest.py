"""From raw memory to nodes and back; run inside the lab by test_provision.py. Prints what it saw."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import hmexp
from hmexp.system.topology import read_topology

KIND, MODULE, PLACERS = sys.argv[1], sys.argv[2], sys.argv[3:]
AUTO_ONLINE = Path("/sys/devices/system/memory/auto_online_blocks")
AUTO_WEIGHTS = Path("/sys/kernel/mm/mempolicy/weighted_interleave/auto")


def call(*words: str) -> tuple[int, Any, str]:
    done = subprocess.run(
        [sys.executable, "-m", "hmexp", "provision", "--json", *words], capture_output=True, text=True
    )
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


def modes() -> set[str]:
    listed = subprocess.run(["daxctl", "list"], capture_output=True, text=True, check=True).stdout
    return {each["mode"] for each in json.loads(listed)}


# No udev here that would load them. Up to 5.17 there are two drivers of a device; that of the older model
# comes first on many machines, and its devices cannot become memory.
COMPAT = KIND == "nvm" and subprocess.run(["modprobe", "-q", "dax_pmem_compat"], check=False).returncode == 0
if KIND == "nvm":
    drivers = ["nfit", "nd_pmem", *([] if COMPAT else ["dax_pmem"]), "device_dax"]
    subprocess.run(["modprobe", "-a", *drivers], check=True)
before = AUTO_ONLINE.read_text()
status, found, words = call("--apply")
assert status == 0 and found["done"], (status, found, words)
print("applied:", *(command for step in found["done"] for command in step["commands"]), sep="\n  ")
ran = [command for step in found["done"] for command in step["commands"]]
# The sequence of those who first wrote the way down.
seed = ["modprobe -r dax_pmem_compat", "modprobe -r dax_pmem", "modprobe -i dax_pmem"]
assert [command for command in ran if "dax_pmem" in command] == (seed if COMPAT else []), ran
if COMPAT:
    print("by the other model of devices")
assert AUTO_ONLINE.read_text() == before
nodes = [node for node in read_topology().nodes if node.kind == KIND]
assert nodes and all(node.has_memory and node.evidence for node in nodes), nodes
assert len(found["nodes"]) == len(nodes)
print(f"{len(nodes)} nodes are {KIND}")

status, found, words = call("--apply")
assert (status, found["done"]) == (0, []), (status, found, words)
print("twice changes nothing")

slow = nodes[-1].id
subprocess.run(["insmod", MODULE], check=True)
if "weighted" in PLACERS and AUTO_WEIGHTS.exists():
    # Without HMAT the kernel does not go back to its automatic weights, so `weighted` asks for this.
    AUTO_WEIGHTS.write_text("false")
for placer in PLACERS:
    with hmexp.allocate("4MiB", f"0,{slow},{slow}", placer) as region:
        region.placement().require()
        print(f"{placer} is proven on 0,{slow},{slow}")
with hmexp.allocate("4MiB", f"0,{slow},{slow}") as region:
    status, found, words = call("--undo")
    assert status == 2 and found is None, (status, found)
    assert f"on node {slow}, by " in words and "nothing was changed" in words, words
    region.placement().require()
print("memory in use stops the undo")

status, found, words = call("--undo")
assert status == 0 and found["done"], (status, found, words)
assert modes() == {"devdax"} and not any(node.kind == KIND for node in read_topology().memory_nodes)
assert call("--undo")[1]["done"] == []
assert AUTO_ONLINE.read_text() == before
print("devdax again")
