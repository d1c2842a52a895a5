"""What a problem document means for the message that it answers."""

from reader_agent.errors import ServiceProblem

# The service has looked at the message itself and refuses it for what it is: sent again, it is refused again.
# Other client errors are about the terminal (its signature, its clock, its role), and can be put right.
_FINAL_STATUSES = frozenset({400, 409, 410, 413, 422})


def is_final(problem: ServiceProblem) -> bool:
    """Whether the message can never be accepted."""
    return problem.status in _FINAL_STATUSES


def is_passing(problem: ServiceProblem) -> bool:
    """Whether the service could not decide just now: the same message may be sent again at once."""
    return problem.status >= 500 or problem.status == 429
