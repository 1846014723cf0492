"""What is the demo's data? Chinook, the well-known sample database of a shop for music, and the shop's help desk."""

from gatebook_hub.demo.archive import CHINOOK, Pin, fetch
from gatebook_hub.demo.calendar import TODAY
from gatebook_hub.demo.database import build
from gatebook_hub.demo.fixture import Rows, load_rows

__all__ = ["CHINOOK", "TODAY", "Pin", "Rows", "build", "fetch", "load_rows"]
