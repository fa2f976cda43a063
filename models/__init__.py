"""What learns: River models, their pending labels, their scores and their drift. Knows nothing of Kafka."""

from models.drift import Watch, on_error, on_feature, on_prediction
from models.learner import Kind, Learner, Prediction, Rule

__all__ = ["Kind", "Learner", "Prediction", "Rule", "Watch", "on_error", "on_feature", "on_prediction"]
