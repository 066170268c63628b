"""What this playground refuses, in one sentence that its reader can act on."""


class Refusal(ValueError):
    """An expected refusal: a field out of range, a file that is no picture, a run that is too long or leads nowhere.

    Its text is one sentence for people. Whatever shows it catches this class and no other.
    """
