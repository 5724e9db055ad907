"""The grid: parameters, axes, filters, presets, baselines and the plan."""
