"""The sidecar as one object, for a host with an event loop and for one without.

``core``       Sidecar: what a host does with it
``thread``     SidecarThread: the same, run by a thread with a loop of its own; ``verdicts``: what it answers
``parts``      building everything, in this order: ``recording``, ``rating``, the sinks with ``files``
``ending``     ending everything; ``bounds``: how long each step of it may take; ``background``: its loops
``sessions``   what a host does in one go, and going on with it
``handing``    signals and bars on their way in; ``joining``: which signal a bar has brought
``waiting``    for the answer to one signal, or to all of a session
``settings_file``  the blocks of a configuration file
"""

from llm_integration.record import DatabaseConfig, DatabaseError
from llm_integration.sidecar.bounds import CLOSE, CloseBounds
from llm_integration.sidecar.core import Sidecar
from llm_integration.sidecar.sessions import HostSession, SessionError
from llm_integration.sidecar.settings_file import SettingsFile
from llm_integration.sidecar.thread import SidecarThread
from llm_integration.sidecar.verdicts import Verdict, VerdictState

__all__ = [
    "CLOSE",
    "CloseBounds",
    "DatabaseConfig",
    "DatabaseError",
    "HostSession",
    "SessionError",
    "SettingsFile",
    "Sidecar",
    "SidecarThread",
    "Verdict",
    "VerdictState",
]
