"""Devices that come and go: ``device_add``, ``device_del``."""
