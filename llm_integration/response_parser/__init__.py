"""Reads a model's reply: a rating, a verdict on choppiness, and two texts, or an honest "unrated".

The layers, from most to least trustworthy; ``ParsedResponse.method`` names the one that read the reply:

    json            the whole reply is one JSON value
    fenced_json     the last schema-valid object that opens a code fence
    embedded_json   the last schema-valid object in prose
    repaired_json   the same, for objects that JSON does not allow but that can only mean one thing
    regex           one verdict stated in prose ("Rating: 4/5")
    keywords        a verdict in the words of the scale ("avoid this trade"), no number needed
    none            nothing that could be read

Thoughts, whatever marks they wear, and echoes of the prompt's format are not part of the reply. Of two
different readings the later one counts only if it is clearly the final answer: an object that ends the reply,
or the only reading behind a closing mark. Otherwise there is none. Of a reply that was cut only an object
counts that it begins with. ``parse_batch`` reads one reply about several signals, by the first five layers.
"""

from llm_integration.response_parser.batch import BatchReading, Expected
from llm_integration.response_parser.model import ParsedResponse
from llm_integration.response_parser.parser import LLMResponseParser

__all__ = ["BatchReading", "Expected", "LLMResponseParser", "ParsedResponse"]
