"""What does the trusted side of Gatebook consist of? The gateway, its portal, the worker and the Hub's configuration."""

__version__ = "0.1.0"
