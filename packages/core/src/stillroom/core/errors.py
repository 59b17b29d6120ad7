"""What can go wrong, as sentences: what the user did, and what to do instead.

StillroomError                 everything raised on purpose
├── UserError                  the command ends with exit code 2 and this one sentence, no traceback
│   ├── DataError              the rows, columns, timestamps or files the user gave
│   ├── RecipeError            a recipe, task, suite or option that cannot be meant as written
│   ├── ModelError             a model that is unknown, unreadable, or cannot do what was asked of it
│   └── MissingError           an extra that is not installed, or a network that is not there
└── CorruptError               a file of ours that no longer says what we wrote
"""


class StillroomError(Exception):
    """The root: catch it to catch everything Stillroom raises on purpose."""


class UserError(StillroomError):
    """The user can mend it; the message is one plain sentence that says how."""


class DataError(UserError):
    """The rows, columns, timestamps or files the user gave."""


class RecipeError(UserError):
    """A recipe, task, suite or option that cannot be meant as written."""


class ModelError(UserError):
    """A model that is unknown, unreadable, or cannot do what was asked of it."""


class MissingError(UserError):
    """Something that is not here: an extra that is not installed, a data set, a network."""


class CorruptError(StillroomError):
    """A file of ours that no longer says what we wrote."""
