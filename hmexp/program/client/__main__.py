"""``python -m hmexp.program.client``: build the client if need be, and become it."""

from __future__ import annotations

import os
import sys

from hmexp.errors import HmexpError
from hmexp.program.client.build import build_client

if __name__ == "__main__":
    try:
        program = str(build_client())
    except HmexpError as error:
        sys.stderr.write(f"hmexp-redis-client: {error}\n")
        sys.exit(4)
    os.execv(program, ["hmexp-redis-client", *sys.argv[1:]])
