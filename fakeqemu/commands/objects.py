"""User objects that come and go: ``object-add``, ``object-del``."""
