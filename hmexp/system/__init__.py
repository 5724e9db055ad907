"""What the machine is: nodes, CPUs, placement as the kernel reports it, and its settings.

Everything that reads `/sys` or `/proc` takes their roots as parameters, so that a machine can be
described by a captured tree and tested anywhere.
"""
