"""``python -m llm_integration COMMAND``: the sidecar's tools for a shell. ``--help`` lists them."""

import sys

from llm_integration.commands import main

if __name__ == "__main__":
    sys.exit(main())
