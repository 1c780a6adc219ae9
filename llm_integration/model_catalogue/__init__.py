"""What OpenRouter says about its models: price, context, parameters, end. Read once a day, kept on disk."""

from llm_integration.calls import ModelInfo
from llm_integration.model_catalogue.catalogue import ModelCatalogue
from llm_integration.model_catalogue.listing import Listing
from llm_integration.model_catalogue.watch import ModelWatch

__all__ = ["Listing", "ModelCatalogue", "ModelInfo", "ModelWatch"]
