"""``tradent COMMAND`` or ``python -m llm_integration COMMAND``: a program that stands beside the library.

Like the host's main program it is a composition root, and nothing but ``llm_integration.__main__`` may import
it (decision 0009).

``line``      which commands there are, and the command line
``settings``  configuration and connection that the commands share
``terminal``  tables, JSON, and text from outside made safe
Each other module is one command: ``add_arguments(parser)`` and ``async run(args) -> exit status``.
"""

from llm_integration.commands.line import main

__all__ = ["main"]
