"""The exceptions whose text is the message that the user reads."""


class BootsFromError(Exception):
    """Anything a user can cause; `str()` is one line: what is wrong, with what, and what to do."""


class UrlError(BootsFromError):
    """The URL can't be booted from.

    `suggestion` is the URL that was probably meant, or empty; unlike the message it holds the user information.
    """

    def __init__(self, message: str, suggestion: str = "") -> None:
        super().__init__(message)
        self.suggestion = suggestion


class TemplateError(BootsFromError):
    """The template image is missing, damaged or not of this version."""
