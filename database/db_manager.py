"""DatabaseManager under the name that users know; it lives in ``llm_integration.record``."""

from llm_integration.record.database_manager import DatabaseManager

__all__ = ["DatabaseManager"]
