"""Every setting, in one typed place. Values come from environment variables and `.env`."""

from flowengine.settings.dotenv import environment
from flowengine.settings.loading import load_settings
from flowengine.settings.model import Limits, Settings

__all__ = ["Limits", "Settings", "environment", "load_settings"]
