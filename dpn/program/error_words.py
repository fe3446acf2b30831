"""What went wrong, in one line: for errors of anybody's code, of exporters and of back ends. Imports nothing."""


def in_words(error: BaseException) -> str:
    """What kind of error it is and all that it says.

    Example:
        >>> in_words(ValueError("no  way")), in_words(AssertionError())
        ('ValueError: no way', 'AssertionError')
    """
    return " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")


def first_line(error: BaseException) -> str:
    r"""What kind of error it is and the first line that says something, without the pages that often follow.

    Example:
        >>> first_line(ValueError("no such thing\n  at line 5"))
        'ValueError: no such thing'
    """
    kind, said = type(error).__name__, first_said(error)
    return kind if said == kind else f"{kind}: {said}"


def first_said(error: BaseException) -> str:
    r"""As `first_line`, without the kind of error where it says something.

    Example:
        >>> first_said(ValueError("\nno such thing\n  at line 5")), first_said(AssertionError())
        ('no such thing', 'AssertionError')
    """
    lines = (line.strip() for line in str(error).splitlines())
    return next((line[:200] for line in lines if line), type(error).__name__)
