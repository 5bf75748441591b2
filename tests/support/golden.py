"""Files with the text that a renderer must produce."""

import os


def assert_golden(text, path):
    """The text is that of the file, which REWRITE_GOLDEN=1 writes anew: look at the difference."""
    if os.environ.get("REWRITE_GOLDEN"):
        path.write_text(text, "utf-8")
    assert text == path.read_text("utf-8"), f"{path.name} differs: see REWRITE_GOLDEN"
