"""ModelCatalogue: the models of one server, read once a day and kept on disk."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import aiohttp

from llm_integration.calls import ModelInfo, Price
from llm_integration.config import DEFAULT_BASE_URL, normalise_model_id
from llm_integration.errors import ConfigError
from llm_integration.http_client import Limits, describe, open_session, proxy_for, proxy_options
from llm_integration.model_catalogue.files import (
    cache_file,
    give_way,
    read_cache,
    read_shipped,
    write_cache,
)
from llm_integration.model_catalogue.listing import MOST_LISTING_BYTES, Listing
from llm_integration.model_catalogue.successors import WARN_DAYS, successor_of
from llm_integration.ports import Provider
from llm_integration.providers import provider_for
from llm_integration.threads import in_thread, in_thread_later

__all__ = ["ModelCatalogue"]

logger = logging.getLogger(__name__)

MAX_AGE = timedelta(days=1)
RETRY_SECONDS = 3_600.0
FETCH_SECONDS = 30.0
LIMITS = Limits(raw_bytes=2 * MOST_LISTING_BYTES, lines=400_000)
"""Of a list that a server may well print one value a line."""
SIMULATED_PREFIX = "simulated/"
VARIANTS = (":nitro", ":floor", ":exacto", ":online")
"""Ways to choose a provider that may be added to any id; what they cost is not listed."""


class _NoListError(ValueError):
    """What came is not a list of models; the message is for people."""


class ModelCatalogue:
    """What the server at ``base_url`` says about its models.

    ``find`` and ``price`` answer at once from memory, which is empty until ``load``. ``run`` keeps it fresh
    and is to be owned as a task; ``refresh`` reads once. ``provider`` knows where the list stands and how it
    is read; without one ``base_url`` decides. ``cache_folder`` None keeps nothing on disk. ``wall_clock`` in
    epoch seconds.
    """

    def __init__(
        self,
        base_url: str = DEFAULT_BASE_URL,
        *,
        provider: Provider | None = None,
        cache_folder: Path | None = None,
        wall_clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._provider: Provider = provider or provider_for(self._base_url)
        self._file = None if cache_folder is None else cache_file(cache_folder, self._base_url)
        self._wall_clock = wall_clock
        self._sleep = sleep
        self._listing = Listing()
        self._failing = False
        self._news = asyncio.Event()
        self._successors: tuple[Listing, date, dict[str, str | None]] = (self._listing, date.min, {})

    @property
    def as_of(self) -> datetime | None:
        """When the server said what is known here; None while nothing is."""
        return self._listing.as_of

    @property
    def models(self) -> tuple[ModelInfo, ...]:
        """Every model that is known."""
        return tuple(self._listing.models.values())

    def find(self, model: str) -> ModelInfo | None:
        """What is known about ``model``; None if nothing is.

        For a variant that only chooses the provider (``:nitro``) it is what is known of the model itself,
        without a price. A ``simulated/`` in front does not count.
        """
        name = normalise_model_id(model.removeprefix(SIMULATED_PREFIX))
        info = self._listing.models.get(name)
        if info is not None or not name.endswith(VARIANTS):
            return info
        base = self._listing.models.get(name.rpartition(":")[0])
        if base is None:
            return None
        return ModelInfo(
            name,
            base.context_length,
            None,
            base.supported_parameters,
            base.expiration_date,
            base.max_completion_tokens,
            base.reasoning_mandatory,
        )

    def price(self, model: str) -> Price | None:
        """USD per token and request of ``model``; None when unknown."""
        info = self.find(model)
        return None if info is None else info.price

    def successor(self, model: str) -> str | None:
        """A model to ask instead of ``model``: served, priced, and not about to go; None if none is known."""
        return self._successor(model, datetime.fromtimestamp(self._wall_clock(), UTC).date())

    def warnings(
        self, models: Iterable[str], today: date, settings: Mapping[str, str] | None = None
    ) -> list[str]:
        """One line for each of ``models`` that is unknown, gone, or announced to go within 30 days.

        It names the setting to change, by ``settings`` that of each model, and a model to put there.
        """
        known = settings or {}
        found = {model: self._fault(model, today) for model in dict.fromkeys(models)}
        return [
            f"model {model} {fault}; {self._advice(model, known.get(model, 'llm.model'), today)}"
            for model, fault in found.items()
            if fault is not None
        ]

    def is_gone(self, model: str, today: date) -> bool:
        """Whether ``model`` is known not to be served any more, or never to have been."""
        info = self.find(model)
        if info is not None:
            return info.expiration_date is not None and info.expiration_date <= today
        return self._fault(model, today) is not None

    def is_retired(self, model: str) -> bool:
        """Whether ``model`` is known to have been served once and to be gone."""
        return normalise_model_id(model.removeprefix(SIMULATED_PREFIX)) in self._retired()

    def _fault(self, model: str, today: date) -> str | None:
        """What is wrong with ``model``: the rest of the sentence."""
        info = self.find(model)
        if info is None:
            if self.is_retired(model):
                return "is no longer served"
            name = normalise_model_id(model.removeprefix(SIMULATED_PREFIX))
            missing = self._listing.complete and not name.startswith(("~", "openrouter/"))
            return f"is not among those offered at {self._base_url}" if missing else None
        end = info.expiration_date
        if end is None or end > today + timedelta(days=WARN_DAYS):
            return None
        if end <= today:
            return f"was announced to be gone from {end.isoformat()} on"
        return f"will be gone from {end.isoformat()} on, in {(end - today).days} days"

    def _retired(self) -> frozenset[str]:
        """Ids known to be gone; a server's whole list does not tell which of the missing ones once were."""
        return read_shipped().retired if self._listing.complete else self._listing.retired

    def _advice(self, model: str, setting: str, today: date) -> str:
        instead = self._successor(model, today)
        return f"change {setting}" + ("" if instead is None else f" to {instead}, which is served")

    def _successor(self, model: str, today: date) -> str | None:
        """Looked for once per list and day: statistics ask several times a second."""
        name = normalise_model_id(model.removeprefix(SIMULATED_PREFIX))
        listing, shipped = self._listing, read_shipped()
        of, day, known = self._successors
        if of is not listing or day != today:
            known = {}
            self._successors = (listing, today, known)
        if name not in known:
            unread = not listing.models and name in shipped.successors
            known[name] = successor_of(name, shipped if unread else listing, shipped.successors, today)
        return known[name]

    async def changed(self, timeout: float) -> None:
        """Wait until the server's list has been read anew, at most ``timeout`` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._news.wait()
        self._news.clear()

    def load_now(self) -> None:
        """Read the copy on disk, else the one that ships. Blocks; for programs without an event loop."""
        self._listing = self._from_disk()

    async def load(self) -> None:
        """``load_now`` in a thread."""
        self._listing = await in_thread(self._from_disk)

    async def refresh(self) -> bool:
        """Ask the server now, within 30 seconds. False when it does not answer; what was known then stays."""
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                body = await self._fetch()
            moment = datetime.fromtimestamp(self._wall_clock(), UTC)
            await in_thread_later(read_shipped)
            self._listing = await in_thread_later(self._read, body, moment)
        except (ConfigError, _NoListError) as error:
            self._tell_failure(str(error))
            return False
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            self._tell_failure(describe(error, self._base_url))
            return False
        self._failing = False
        self._news.set()
        await self._keep()
        return True

    async def run(self) -> None:
        """Load, then ask the server whenever what is known is a day old; ends only by cancellation."""
        if self._listing.as_of is None:
            await self.load()
        while True:
            wait = self._fresh_for()
            if wait <= 0:
                wait = MAX_AGE.total_seconds() if await self.refresh() else RETRY_SECONDS
            await self._sleep(wait)

    def _fresh_for(self) -> float:
        """Seconds until the server is to be asked again."""
        if self._listing.as_of is None or not self._listing.complete:
            return 0.0
        age = self._wall_clock() - self._listing.as_of.timestamp()
        return MAX_AGE.total_seconds() - age if age >= 0 else 0.0  # read in the future: the clock was wrong

    def _read(self, body: bytes, moment: datetime) -> Listing:
        """The server's list as it was at ``moment``. Blocks; raises ValueError."""
        models = self._provider.read_models(body, between=give_way)
        return Listing(models, moment, complete=True)

    async def _fetch(self) -> bytes:
        """The list, without a key: nobody needs one for it."""
        profile = self._provider.profile
        options = proxy_options(proxy_for(self._base_url), profile.headers)
        async with (
            open_session(LIMITS) as session,
            session.get(
                f"{self._base_url}{profile.models_path}",
                allow_redirects=False,
                **options,
            ) as response,
        ):
            if response.status != 200:
                raise _NoListError(f"HTTP {response.status}")
            chunks: list[bytes] = []
            size = 0
            while chunk := await response.content.readany():
                chunks.append(chunk)
                size += len(chunk)
                if size > MOST_LISTING_BYTES:
                    raise _NoListError(f"the list is longer than {MOST_LISTING_BYTES} bytes")
            return b"".join(chunks)

    async def _keep(self) -> None:
        if self._file is None:
            return
        try:
            await in_thread_later(write_cache, self._file, self._base_url, self._listing)
        except OSError as error:
            logger.warning("the list of models cannot be kept in %s: %s", self._file, error)

    def _from_disk(self) -> Listing:
        read_shipped()  # here, where reading a file may block; from now on it is in memory
        kept = None if self._file is None else read_cache(self._file, self._base_url)
        if kept is not None:
            return kept
        return read_shipped() if self._provider.profile.shipped_list else Listing()

    def _tell_failure(self, reason: str) -> None:
        if self._failing:
            return
        self._failing = True
        known = self._listing.as_of
        since = f"what was known on {known:%Y-%m-%d} stays in use" if known else "prices stay unknown"
        logger.warning(
            "the list of models at %s cannot be read, %s: %s",
            self._base_url, since, reason[:200],
        )  # fmt: skip
