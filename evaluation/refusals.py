"""Which evaluations some images and labels allow."""

from __future__ import annotations

from ..core.discovery import evaluations
from ..core.errors import SslKitError
from .data import EvaluationData
from .evaluation import Evaluation


def refusals(data: EvaluationData) -> dict[str, str]:
    """Tells which evaluations these images and labels allow, with default options.

    Returns:
        By the name of each evaluation, why it refuses them; "" if it can be asked.
    """
    reasons = {}
    for name in evaluations:
        try:
            kind: type[Evaluation] = evaluations[name]
            needed = [key for key, f in kind.Config.model_fields.items() if f.is_required()]
            if needed:
                reasons[name] = f"It needs --set {name}.{needed[0]}=..."
                continue
            kind(kind.Config()).check(data)
            reasons[name] = ""
        except SslKitError as error:
            reasons[name] = str(error)
    return reasons
