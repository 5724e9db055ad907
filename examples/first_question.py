"""Ask one question of hybrid memory: how much of DRAM's read bandwidth does each pattern keep?

Runs on any machine: where node 2 does not exist, it is emulated, and every number says so.

    .venv/bin/python examples/first_question.py
"""

from __future__ import annotations

import hmexp


def main() -> None:
    """Lay out, prove, measure, compare."""
    emulation = hmexp.emulate("2=optane-dcpmm")
    for text in ("0", "0,0,0,2", "0,2", "2"):
        pattern = hmexp.Pattern.parse(text)
        with hmexp.allocate("64MiB", pattern, emulation=emulation) as region:
            measured = hmexp.measure_bandwidth(region, "read", sampling=hmexp.Sampling(20))
            model = emulation.predict(region.pages_per_node(), "read")
            print(f"{text:8} {region.placement().summary}")
            print(f"         {measured}; the model predicts {model:.3g}")


if __name__ == "__main__":
    main()
