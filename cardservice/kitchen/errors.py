"""What can go wrong where a kitchen asks."""

from cardservice.errors import CardServiceError


class RecallNotAllowed(CardServiceError):
    """What a child ate is told to those alone who have that right."""

    code = "recall_not_allowed"

    def __init__(self, actor: str) -> None:
        super().__init__(f"{actor} may not see who ate what; whoever may stands in CARDSERVICE_RECALL_NAMES")
        self.actor = actor
