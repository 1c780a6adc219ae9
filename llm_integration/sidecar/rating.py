"""What asks and rates: the list of models, the ledger, the client, the worker; a simulator for a trial."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from llm_integration.budget import MemoryLedger, key_fingerprint
from llm_integration.config import LLMConfig
from llm_integration.errors import ConfigError, KeyRefusedError
from llm_integration.llm_processor import LLMProcessor
from llm_integration.memory_store import SignalMemoryStore
from llm_integration.model_catalogue import ModelCatalogue, ModelWatch
from llm_integration.ports import Provider
from llm_integration.prompts import PromptLibrary
from llm_integration.record.ledger import PostgresLedger
from llm_integration.routing import router_for
from llm_integration.sidecar.background import Background
from llm_integration.sidecar.bounds import CloseBounds
from llm_integration.sidecar.ending import Ending
from llm_integration.sidecar.recording import Recording
from llm_integration.sinks import SinkList
from llm_integration.worker import LLMWorker

__all__ = ["Rating", "check_prompts"]

logger = logging.getLogger(__name__)

SIMULATED_LATENCY_SECONDS = (0.05, 0.4)
FAILED = "its set-up failed, the log says why"


class Rating:
    """Opened after the record. A fault that is none of the settings' leaves the host without ratings."""

    def __init__(
        self,
        config: LLMConfig,
        ending: Ending,
        *,
        simulate: bool,
        models_folder: Path | None,
        provider: Provider | None = None,
    ) -> None:
        self.config = config
        self._provider = None if simulate else provider
        self._ending, self._simulate = ending, simulate
        self._models = None if simulate else models_folder
        self._key: SecretStr | None = config.api_key
        self._watch: ModelWatch | None = None
        self.worker: LLMWorker | None = None
        self.ledger: PostgresLedger | MemoryLedger | None = None
        self.off_reason: str | None = None
        """Why nothing is asked at all, in one line; None while it is on."""

    async def open(
        self,
        store: SignalMemoryStore,
        sinks: SinkList,
        recording: Recording | None,
        background: Background,
        **ownership: Any,
    ) -> None:
        """Build and start everything but the worker's own loop; ``ownership`` is the worker's.

        Raises ConfigError.
        """
        try:
            if self._simulate:
                await self._start_simulator()
            catalogue = ModelCatalogue(
                self.config.base_url, cache_folder=self._models, provider=self._provider
            )
            await catalogue.load()
            ledger = self.ledger = self._open_ledger(recording, catalogue)
            processor = LLMProcessor(
                self.config, api_key=self._key, guard=ledger, catalogue=catalogue, provider=self._provider,
                dialect_folder=self._models,
            )  # fmt: skip
            worker = self.worker = LLMWorker(
                self.config, store, recording.manager if recording else None, sinks,
                outbox=recording.outbox if recording else None, processor=processor, catalogue=catalogue,
                availability=recording.availability if recording else None,
                **ownership,
            )  # fmt: skip
        except ConfigError:
            raise
        except Exception:
            logger.exception("the LLM cannot be set up; trading goes on without ratings")
            self.off_reason = FAILED
            return
        self._ending.worker.add("the worker", lambda bounds: worker.stop(bounds.worker))
        self.off_reason = worker.off_reason()
        if self.off_reason is None:
            self._start_watching(background, catalogue)
            logger.info("LLM on: %s at %s", self.config.model, self.config.base_url)
            processor.say_where()

    async def _start_simulator(self) -> None:
        from llm_integration.simulator import (  # noqa: PLC0415  a server: for a trial alone
            SIMULATED_KEY,
            OpenRouterSimulator,
        )

        # Whatever model the settings name: a trial shows how the system works.
        simulator = OpenRouterSimulator(seed=1, latency_seconds=SIMULATED_LATENCY_SECONDS, retired_models=())
        self._ending.connections.add("the simulator", lambda _: simulator.stop())
        await simulator.start()
        self.config = self.config.model_copy(update={"base_url": simulator.base_url})
        self._key = SecretStr(SIMULATED_KEY)

    def _open_ledger(
        self, recording: Recording | None, prices: ModelCatalogue
    ) -> PostgresLedger | MemoryLedger:
        """Every request passes it; with PostgreSQL its sums hold for all processes on this key."""
        if recording is None:
            return MemoryLedger(self.config.budgets, prices)
        key = self._key.get_secret_value() if self._key else None
        ledger = PostgresLedger(
            recording.manager.connections, self.config.budgets, prices, availability=recording.availability,
            key_fingerprint=key_fingerprint(key, self.config.base_url), worker_id=recording.worker_id,
        )  # fmt: skip

        async def close(bounds: CloseBounds) -> None:
            if unsettled := await ledger.close(bounds.stores - 0.2):
                logger.warning("%d request(s) are not in the ledger; their reservations stay", unsettled)

        self._ending.stores.add("the ledger", close)
        return ledger

    def _start_watching(self, background: Background, catalogue: ModelCatalogue) -> None:
        background.start("model catalogue", catalogue.run)
        watch = self._watch = ModelWatch(catalogue, self.config.models_named)
        background.start("model warnings", watch.run)
        if isinstance(self.ledger, PostgresLedger):
            background.start("ledger", self.ledger.run)

    @property
    def gone_models(self) -> Sequence[str]:
        """What is to be done about models that are not served any more, a line each."""
        return self._watch.gone if self._watch is not None else ()

    @property
    def wants_a_key(self) -> bool:
        """The server refuses us and no key was given at all: nothing will change by itself."""
        if self.worker is None or self._key is not None:
            return False
        stopped_by: object = self.worker.get_statistics()["processor"]["stopped_by"]
        return stopped_by == KeyRefusedError.__name__

    def budgets(self) -> list[dict[str, Any]]:
        """How the budgets stand."""
        return [asdict(each) for each in self.ledger.state()] if self.ledger is not None else []


def check_prompts(config: LLMConfig) -> None:
    """Raise ConfigError, one line long, for a prompt that is named and missing or faulty."""
    library = PromptLibrary(config.prompt_folder, config.prompt_files)
    for name in (config.prompt, *router_for(config).prompts, *(shadow.prompt for shadow in config.shadow)):
        if name is not None:
            library.get(name)
