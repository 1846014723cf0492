"""What is on the trusted side of Gatebook? The gateway, its portal, the worker and the Hub's configuration."""

__version__ = "0.1.0"
