"""An error as the one line that a user reads."""


def one_line(error: BaseException) -> str:
    """Say what went wrong in one line; a missing file by its name, not by its number."""
    if isinstance(error, FileNotFoundError) and error.filename is not None and error.errno:
        return f"{error.filename}: expected a file or folder, found none; check the path"
    return " ".join(str(error).split())


def is_expected(error: BaseException) -> bool:
    """Whether a user can mend it; anything else is a mistake of the program."""
    return isinstance(error, ValueError | OSError)


def described(error: BaseException) -> str:
    """Give the one line; before a mistake of the program, its kind."""
    line = one_line(error)
    return line if is_expected(error) else f"{type(error).__name__}: {line}"
