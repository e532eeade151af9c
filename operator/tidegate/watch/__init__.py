"""Changes in the cluster, turned into keys to reconcile. The only importer of kopf."""

from tidegate.watch.coverage import Coverage
from tidegate.watch.hearing import Sinks
from tidegate.watch.kopf_settings import WatchSettings
from tidegate.watch.watched import WATCHED, Lister, Login, Watched
from tidegate.watch.watching import watch

__all__ = ["WATCHED", "Coverage", "Lister", "Login", "Sinks", "WatchSettings", "Watched", "watch"]
