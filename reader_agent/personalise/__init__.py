"""Making blank cards the cards of orders: one at the desk, or many in a batch; and blank ones again."""

from reader_agent.personalise.flow import Personalised, Stage, StageProgress, give_up, personalise
from reader_agent.personalise.resetting import reset_card

__all__ = ["Personalised", "Stage", "StageProgress", "give_up", "personalise", "reset_card"]
