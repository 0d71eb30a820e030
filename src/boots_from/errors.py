"""The exceptions of the package. The text of each is the message that the user reads."""

REINSTALL = "reinstall boots-from, or run make template in its checkout"  # the remedy for a damaged package


class BootsFromError(Exception):
    """An error that the user can fix; `str()` is one line with the fact, the place and the remedy."""


class UrlError(BootsFromError):
    """iPXE cannot boot from the URL.

    `suggestion` is the URL that was probably meant, or empty. Unlike the message it includes the user information.
    """

    def __init__(self, message: str, suggestion: str = "") -> None:
        super().__init__(message)
        self.suggestion = suggestion


class TemplateError(BootsFromError):
    """The template image is missing, damaged, or from another version."""
