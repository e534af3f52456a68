"""The decision and the jobs round it."""

from ..domain import Decision
from .config import Settings, load
from .router import Answer, Router

__all__ = ["Answer", "Decision", "Router", "Settings", "load"]
