"""The jobs round the decision: retraining, promotion, evaluation, the demonstration."""
