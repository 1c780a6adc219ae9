"""The sidecar as one object, for a host with an event loop and for one without.

``core``     Sidecar: what a host does with it
``thread``   SidecarThread: the same, run by a thread with a loop of its own; ``verdicts``: what it answers
``parts``    building and ending everything; ``bounds``: how long each step of the end may take
``joining``  which signal a bar has brought
"""

from llm_integration.sidecar.bounds import CLOSE, CloseBounds
from llm_integration.sidecar.core import Sidecar
from llm_integration.sidecar.thread import SidecarThread
from llm_integration.sidecar.verdicts import Verdict, VerdictState

__all__ = ["CLOSE", "CloseBounds", "Sidecar", "SidecarThread", "Verdict", "VerdictState"]
