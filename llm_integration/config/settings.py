"""LLMConfig: every setting of the sidecar, its default, its bounds and its meaning.

Where a value comes from, first match wins: a keyword given in code, the environment
(``LLM_<FIELD>``, also from ``.env``), the configuration file, the default. Values stay as they are written;
``output_folder``, ``prompt_folder`` and ``prompt_files`` say which folders and files they mean.
"""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, TypeVar

from dotenv import dotenv_values
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from llm_integration.config.budgets import Budget
from llm_integration.config.files import read_text_file
from llm_integration.config.names import (
    ModelId,
    Names,
    is_file_name,
    names_of,
    normalise_model_id,
    suggestion,
)
from llm_integration.config.outcomes import Outcomes
from llm_integration.config.places import Places
from llm_integration.config.routes import Route, Shadow
from llm_integration.errors import ConfigError
from llm_integration.times import zone_named

__all__ = [
    "LLMConfig",
    "clean_key",
    "environment",
    "load_settings",
    "normalise_model_id",
    "read_json",
    "suggestion",
]

S = TypeVar("S", bound=BaseModel)

DEFAULT_MODEL = "google/gemini-3.5-flash-lite"
DEFAULT_INDICATORS = (
    "rsi", "atr", "sma_20", "sma_50", "volume_ratio",
    "bb_upper", "bb_lower", "bb_middle", "stochastic_k", "stochastic_d",
)  # fmt: skip
DEFAULT_BASE_URL = "https://openrouter.ai/api/v1"
KEY_VARIABLE = "OPENROUTER_API_KEY"
URL_VARIABLE = "OPENROUTER_BASE_URL"
ENV_FILE_VARIABLE = "TRADENT_ENV_FILE"


def environment(env_file: str | Path | None = None, *, beside: str | Path | None = None) -> dict[str, str]:
    """The process environment over the ``.env`` file; neither is changed.

    The file is ``env_file``, else what ``TRADENT_ENV_FILE`` names (empty: none), else ``.env`` in the
    working folder, else the one in the folder ``beside``, that of a configuration file: a run that starts
    elsewhere has the same key. A missing one is none. UTF-8, UTF-16 with its mark and Latin-1 are read.
    Raises ConfigError, which names the file, for anything else.
    """
    named = os.environ.get(ENV_FILE_VARIABLE) if env_file is None else str(env_file)
    if named is not None:
        found = [Path(named)] if named else []
    else:
        found = [Path(".env")] if beside is None else [Path(".env"), Path(beside, ".env")]
    values = next((read for file in found if (read := _read_env_file(file)) is not None), {})
    return {**values, **os.environ}


def _read_env_file(file: Path) -> dict[str, str] | None:
    """What the file says; None when there is no such file."""
    try:
        text = read_text_file(file, unmarked="latin-1")
    except FileNotFoundError:
        return None
    except ConfigError as error:
        raise ConfigError(f"{error}; or set {ENV_FILE_VARIABLE} to another file, or to nothing") from None
    found = dotenv_values(stream=io.StringIO(text))
    return {key: value for key, value in found.items() if value is not None}


def read_json(path: str | Path) -> dict[str, Any]:
    """The JSON object in ``path``. Raises ConfigError for a missing file or anything but an object."""
    file = Path(path)
    try:
        data = json.loads(read_text_file(file))
    except FileNotFoundError:
        raise ConfigError(f"{file}: no such file; name another one with --config") from None
    except ConfigError:
        raise
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{file}: not valid JSON: {error}") from error
    if not isinstance(data, dict):
        raise ConfigError(f'{file}: must hold a JSON object, for example {{"llm": {{...}}}}')
    return data


def load_settings(model: type[S], values: Mapping[str, Any], where: str) -> S:
    """``model`` built from ``values``; a ConfigError names ``where``, the key and what is allowed."""
    try:
        return model(**values)
    except ValidationError as error:
        raise ConfigError(_explain(error, model, where)) from None


def _explain(error: ValidationError, model: type[BaseModel], where: str) -> str:
    parts = []
    for problem in error.errors(include_url=False, include_context=False):
        key = ".".join(str(part) for part in problem["loc"]) or "settings"
        if problem["type"] == "extra_forbidden":
            parts.append(f"unknown key {key!r}{suggestion(key, model.model_fields)}")
        elif not problem["loc"]:
            parts.append(_plain(problem["msg"]))
        else:
            shown = "" if key in SECRET_FIELDS else f", not {_short(problem['input'])}"
            parts.append(f"{key}: {_plain(problem['msg'])}{shown}")
    return f"{where}: {'; '.join(parts)}"


SECRET_FIELDS = frozenset({"url", "base_url", "api_key"})


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ").replace("Input should", "should")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _nullable(value: object) -> object:
    """The environment knows no null but the word."""
    return None if isinstance(value, str) and value.strip().lower() in ("null", "") else value


def _parsed(value: object) -> object:
    """Lists of blocks come from the environment as JSON."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value or "[]")
    except ValueError:
        raise ValueError("should be a JSON list") from None


def _parsed_block(value: object) -> object:
    """One block comes from the environment as JSON, too."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value or "{}")
    except ValueError:
        raise ValueError("should be a JSON object") from None


def _batch_size(value: object) -> object:
    """A number of signals, or the word auto; a number may come as text from the environment."""
    if isinstance(value, str):
        text = value.strip().lower()
        value = int(text) if text.isdecimal() else text
    if value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 50):
        return value
    raise ValueError('should be a number of signals from 1 to 50, or "auto"')


class _ReadFrom:
    """Where settings were read from, which makes no difference between two of them."""

    def __init__(self, file: str | None) -> None:
        self.file = file

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ReadFrom)

    __hash__ = None  # type: ignore[assignment]


class LLMConfig(BaseModel):
    """Settings of the sidecar. Build it from keywords, or read the ``llm`` block with ``load``."""

    model_config = ConfigDict(
        extra="forbid",
        validate_assignment=True,
        hide_input_in_errors=True,
        protected_namespaces=(),
        allow_inf_nan=False,
    )

    prefix: ClassVar[str] = "LLM_"

    enabled: bool = Field(True, description="Switches the sidecar on. Off: trading runs, nothing is asked.")
    model: str = Field(
        DEFAULT_MODEL,
        min_length=1,
        max_length=200,
        description="Model id at OpenRouter, `author/slug`; a leading `openrouter/` is removed.",
    )
    fallback_models: Names = Field(
        default_factory=list,
        max_length=10,
        description="Models used in this order when the one before is unknown or retired.",
    )
    base_url: str = Field(
        DEFAULT_BASE_URL,
        description="OpenAI-compatible endpoint; `OPENROUTER_BASE_URL` sets it too.",
    )
    allow_plain_http: bool = Field(
        False,
        description="Lets the API key go unencrypted over `http` to another machine.",
    )
    batch_size: Annotated[int | Literal["auto"], BeforeValidator(_batch_size)] = Field(
        1,
        description='Most signals in one request, 1 to 50. `"auto"`: one alone while nothing else waits, '
        "and up to 20 as the backlog grows.",
    )
    batch_max_tokens: int = Field(
        40_000, ge=1_000, le=1_000_000, description="Most prompt tokens of a request about several signals."
    )
    batch_reply_tokens: int = Field(
        300, ge=50, le=8_000, description="Added to `max_tokens` for each further signal of a request."
    )
    batch_across_time: bool = Field(
        False,
        description="Lets signals of different times share a request. An earlier one then has bars from "
        "after its time in view; its result says so.",
    )
    max_concurrency: int = Field(8, ge=1, le=256, description="Requests in flight at once.")
    requests_per_minute: int = Field(
        14, ge=1, le=1_000_000, description="Most requests in any 60 seconds, retries included."
    )
    tokens_per_minute: int = Field(
        950_000, ge=1_000, le=10_000_000_000, description="Most tokens in any 60 seconds, prompt and reply."
    )
    max_retries: int = Field(
        3, ge=0, le=20, description="Further attempts after a first one that failed for a passing reason."
    )
    request_timeout_seconds: float = Field(
        60.0, gt=0, le=600, description="Bound of one attempt, from connecting to the last byte."
    )
    retry_after_cap_seconds: float = Field(
        120.0,
        ge=0,
        le=86_400,
        description="Longest wait asked for by the server that a signal sits out; beyond it the call fails.",
    )
    signal_max_age_seconds: float = Field(
        3_600.0,
        gt=0,
        le=604_800,
        description="A signal unanswered for longer ends as `expired` and costs nothing more.",
    )
    max_tokens: int = Field(
        2_000, ge=16, le=65_536, description="Most tokens of one reply, the model's reasoning included."
    )
    temperature: float = Field(0.0, ge=0, le=2, description="Sampling temperature.")
    reasoning_effort: Annotated[
        Literal["none", "minimal", "low", "medium", "high"] | None, BeforeValidator(_nullable)
    ] = Field("minimal", description="How much a thinking model may think; null leaves it to the model.")
    response_format: Literal["auto", "json_schema", "json_object", "text"] = Field(
        "auto",
        description="Form asked of the reply. `auto`: a JSON schema where the model's listing has it, else a "
        "JSON object, else plain text; the others are the strictest that is asked for.",
    )
    prompt: str = Field(
        "default",
        min_length=1,
        max_length=200,
        description="Prompt template: a name, or a file ending with `.md`.",
    )
    prompt_directory: str = Field(
        "", description="Folder of your own templates; empty: the built-in ones only."
    )
    routes: Annotated[list[Route], BeforeValidator(_parsed)] = Field(
        default_factory=list,
        max_length=100,
        description="Rules that send signals to other models or prompts, first match wins.",
    )
    ensemble: Annotated[list[ModelId], BeforeValidator(names_of)] = Field(
        default_factory=list,
        max_length=9,
        description="Models that are all asked about each signal; the median rating counts.",
    )
    ensemble_quorum: int | None = Field(
        None,
        ge=1,
        le=9,
        description="How many models of an ensemble must rate; null: more than half of them.",
    )
    shadow: Annotated[list[Shadow], BeforeValidator(_parsed)] = Field(
        default_factory=list,
        max_length=5,
        description="Models or prompts asked about a share of the signals, for comparison only.",
    )
    budgets: Annotated[list[Budget], BeforeValidator(_parsed)] = Field(
        default_factory=list,
        max_length=50,
        description="Bounds on spending per hour, day or month.",
    )
    outcomes: Annotated[Outcomes, BeforeValidator(_parsed_block)] = Field(
        default_factory=Outcomes,
        description="What became of each signal, told from the bars that come in.",
    )
    rating_health_window: int = Field(
        200, ge=50, le=10_000, description="Latest answers of a model and prompt that rating health looks at."
    )
    lookback_periods: int = Field(20, ge=1, le=500, description="Bars shown to the model.")
    bars_timezone: str = Field(
        "UTC",
        min_length=1,
        max_length=64,
        description="Zone, by its IANA name such as `Europe/Berlin`, of bar and signal times that name none.",
    )
    indicators_to_include: Names = Field(
        default_factory=lambda: list(DEFAULT_INDICATORS),
        max_length=50,
        description="Indicators shown to the model, by name.",
    )
    max_memory_signals: int = Field(1_000, ge=1, le=10_000_000, description="Signals kept in memory.")
    memory_retention_minutes: float = Field(
        60.0, ge=0, le=525_600, description="How long a finished signal stays in memory."
    )
    cleanup_interval_minutes: float = Field(
        30.0, gt=0, le=1_440, description="How often finished signals past their retention are removed."
    )
    poll_interval: float = Field(
        1.0,
        gt=0,
        le=3_600,
        description="Seconds between looks into PostgreSQL for waiting or abandoned tasks.",
    )
    lease_seconds: float = Field(
        20.0,
        ge=1,
        le=3_600,
        description="How long a silent worker keeps its tasks before another takes them.",
    )
    write_batch_size: int = Field(100, ge=1, le=5_000, description="Most results per database transaction.")
    max_unwritten_results: int = Field(
        5_000,
        ge=1,
        le=1_000_000,
        description="Results held while PostgreSQL is away; when full, no further call is made.",
    )
    csv_output_directory: str = Field(
        "output/llm_enhanced/", min_length=1, description="Folder of the three output files."
    )
    batch_export_interval_seconds: float = Field(
        60.0,
        gt=0,
        le=86_400,
        description="How often the summary is rewritten and the CSV files are forced to disk.",
    )
    csv_queue_size: int = Field(
        20_000,
        ge=10,
        le=10_000_000,
        description="Rows waiting for the CSV thread; when full, new ones are left out and counted.",
    )
    csv_byte_order_mark: bool = Field(
        False,
        description="Begin new CSV files with the mark by which Excel knows UTF-8; files that are there "
        "stay as they are.",
    )
    csv_max_held_bars: int = Field(
        20_000,
        ge=0,
        le=10_000_000,
        description="Bars held back behind an unanswered signal; beyond it they are written without it.",
    )
    drain_timeout_seconds: float = Field(
        120.0, ge=0, le=86_400, description="How long the end of the feed waits for outstanding answers."
    )

    _api_key: SecretStr | None = PrivateAttr(default=None)
    _places: Places = PrivateAttr(default=Places())
    _read_from: _ReadFrom = PrivateAttr(default_factory=lambda: _ReadFrom(None))

    def __init__(self, **values: Any) -> None:
        env = environment()
        super().__init__(**{**_from_environment(env, type(self)), **values})
        self._api_key = clean_key(env.get(KEY_VARIABLE))

    @property
    def api_key(self) -> SecretStr | None:
        """The key from ``OPENROUTER_API_KEY``, stripped of quotes and blanks; None when there is none."""
        return self._api_key

    @property
    def file(self) -> str | None:
        """The file, or block of it, that the settings were read from; None for those made in code."""
        return self._read_from.file

    @property
    def folder(self) -> Path:
        """The folder of the file that these settings were read from; the working folder without one."""
        return self._places.folder

    @property
    def output_folder(self) -> Path:
        """The folder that ``csv_output_directory`` means."""
        return self._places.of("csv_output_directory") / self.csv_output_directory

    @property
    def prompt_folder(self) -> Path | None:
        """The folder that ``prompt_directory`` means; None when there is none."""
        return self._places.of("prompt_directory") / self.prompt_directory if self.prompt_directory else None

    @property
    def prompt_files(self) -> dict[str, Path]:
        """The files that prompts of these settings mean, by their name as it is written."""
        named = [("shadow", shadow.prompt) for shadow in self.shadow]
        named += [("routes", route.prompt) for route in self.routes]
        named += [("prompt", self.prompt)]
        return {name: self._places.of(field) / name for field, name in named if name and is_file_name(name)}

    @property
    def models_named(self) -> dict[str, str]:
        """Every model that these settings name, the usual one first, and the setting that names it."""
        named: list[tuple[str | None, str]] = [(self.model, "llm.model")]
        named += [(model, "llm.fallback_models") for model in self.fallback_models]
        named += [(model, "llm.ensemble") for model in self.ensemble]
        for number, route in enumerate(self.routes):
            place = f"llm.routes[{number}]"
            named.append((route.model, f"{place}.model"))
            named += [(model, f"{place}.fallbacks") for model in route.fallbacks or ()]
            named += [(model, f"{place}.ensemble") for model in route.ensemble or ()]
        named += [(shadow.model, f"llm.shadow[{number}].model") for number, shadow in enumerate(self.shadow)]
        named += [
            (budget.downgrade_to, f"llm.budgets[{number}].downgrade_to")
            for number, budget in enumerate(self.budgets)
        ]
        found: dict[str, str] = {}
        for model, setting in named:
            if model:
                found.setdefault(model, setting)
        return found

    @classmethod
    def load(cls, path: str | Path, *, section: str = "llm") -> Self:
        """Settings from the ``section`` block of the JSON file ``path``, under the environment.

        Relative paths in the file, and those of the defaults, are relative to its folder. Raises
        ConfigError, one line long, for anything wrong in the file or the environment.
        """
        block = read_json(path).get(section, {})
        if not isinstance(block, dict):
            raise ConfigError(f"{path}: {section!r} must be an object of settings")
        return cls.from_file_values(block, where=f"{path}: {section}", folder=Path(path).absolute().parent)

    @classmethod
    def from_file_values(cls, block: Mapping[str, Any], *, where: str, folder: Path | None = None) -> Self:
        """Settings from a block already read, of a file in ``folder``; the environment goes over it."""
        if "api_key" in block:
            raise ConfigError(
                f"{where}: api_key does not belong in a file; set {KEY_VARIABLE} or put it in .env"
            )
        load_settings(cls, {}, "environment")  # a fault is blamed on where it stands
        load_settings(cls, block, where)
        env = environment(beside=folder)
        given = _from_environment(env, cls)
        config = load_settings(cls, {**block, **given}, "environment")
        config._api_key = clean_key(env.get(KEY_VARIABLE))
        config._places = Places(folder or Path(), frozenset(given))
        config._read_from = _ReadFrom(where)
        return config

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy; paths in ``update`` come from code and are relative to the working folder."""
        copy = super().model_copy(update=update, deep=deep)
        copy._places = self._places.without(update or ())
        return copy

    if not TYPE_CHECKING:  # type checkers would take any attribute for a setting

        def __setattr__(self, name: str, value: Any) -> None:
            super().__setattr__(name, value)
            if name in type(self).model_fields:
                self._places = self._places.without((name,))

    def save(self, path: str | Path, *, section: str = "llm") -> None:
        """Write the settings into the ``section`` block of ``path``, atomically; other blocks stay."""
        file = Path(path)
        data = read_json(file) if file.exists() else {}
        data[section] = self.model_dump(mode="json")
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_name(f".{file.name}.{os.getpid()}")
        try:
            with draft.open("x", encoding="utf-8") as out:
                out.write(json.dumps(data, indent=2, ensure_ascii=False) + "\n")
            if file.exists():
                draft.chmod(file.stat().st_mode & 0o777)
            draft.replace(file)
        finally:
            draft.unlink(missing_ok=True)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, values: Any) -> Any:
        if isinstance(values, dict):
            for key in values:
                if key not in cls.model_fields:
                    raise ValueError(f"unknown key {key!r}{suggestion(str(key), cls.model_fields)}")
        return values

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth(cls, value: object, info: ValidationInfo) -> object:
        """``true`` is no number, though Python counts it as 1."""
        kind = cls.model_fields[info.field_name or ""].annotation
        if isinstance(value, bool) and kind in (int, float):
            raise ValueError("should be a number")
        return value

    @field_validator("model")
    @classmethod
    def _model_id(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("should be a model id such as google/gemini-3.5-flash-lite")
        return normalise_model_id(value)

    @field_validator("bars_timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        zone_named(value)
        return value.strip()

    @field_validator("fallback_models")
    @classmethod
    def _fallback_ids(cls, value: list[str]) -> list[str]:
        return [normalise_model_id(item) for item in value]

    @field_validator("base_url")
    @classmethod
    def _url(cls, value: str) -> str:
        if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", value.strip()):
            raise ValueError("should be a URL such as https://openrouter.ai/api/v1, without user or password")
        return value.strip().rstrip("/")


def clean_key(value: str | None) -> SecretStr | None:
    """The key without the quotes, blanks and line breaks that copying leaves around it.

    None when nothing is left. Raises ConfigError, without showing the key, when a character inside it
    could not stand in an HTTP header.
    """
    key = (value or "").strip().strip("\"'“”‘’").strip()
    if not key:
        return None
    if not all("!" <= char <= "~" and char not in "\"'" for char in key):
        raise ConfigError(
            f"{KEY_VARIABLE}: the key holds a blank, a quote, a line break or a non-ASCII character;"
            " copy it again"
        )
    return SecretStr(key)


def _from_environment(env: Mapping[str, str], model: type[LLMConfig]) -> dict[str, Any]:
    values = {
        name: env[variable]
        for name in model.model_fields
        if (variable := f"{model.prefix}{name.upper()}") in env
    }
    if env.get(URL_VARIABLE):
        values.setdefault("base_url", env[URL_VARIABLE])
    return values
