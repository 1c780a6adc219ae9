"""Whether ratings still say something: one value that takes over, replies that cannot be read any more.

Pure: results go in one by one, alarms come out. Memory is bounded, and ``add`` takes some microseconds.

``watch``       RatingHealth: which results are held against which, and when an alarm begins and ends
``statistics``  how much two samples differ, and how surely
``results``     the last results, counted
``told``        what comes out
"""

from llm_integration.rating_health.statistics import entropy_bits, entropy_fall, share_rise
from llm_integration.rating_health.told import Alarm, AlarmKind, VersionHealth, version_names
from llm_integration.rating_health.watch import RatingHealth

__all__ = [
    "Alarm",
    "AlarmKind",
    "RatingHealth",
    "VersionHealth",
    "entropy_bits",
    "entropy_fall",
    "share_rise",
    "version_names",
]
