"""An error as the one line that a user reads."""


def one_line(error: BaseException) -> str:
    """Say what went wrong in one line; a missing file by its name, not by its number."""
    if isinstance(error, FileNotFoundError) and error.filename is not None and error.errno:
        return f"{error.filename}: expected a file or folder, found none; check the path"
    return " ".join(str(error).split())
