"""The exceptions whose text is the message that the user reads."""


class BootsFromError(Exception):
    """Anything a user can cause; `str()` is one line: what is wrong, with what, and what to do."""


class UrlError(BootsFromError):
    """The URL can't be booted from."""


class TemplateError(BootsFromError):
    """The template image is missing, damaged or not of this version."""
