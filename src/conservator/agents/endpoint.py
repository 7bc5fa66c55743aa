"""The one door to language models: an OpenAI-compatible server that the user names, or none at all."""

from __future__ import annotations

import asyncio
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, Generic, Literal, TypeVar, cast, get_args
from urllib.parse import urlsplit

from conservator.errors import ModelMissing, UsageError
from conservator.session import Session

URL, MODEL, KEY, PRICES, SECONDS, CALLS, EYES, STREAM = (
    f"CONSERVATOR_LLM_{name}" for name in ("URL", "MODEL", "KEY", "PRICES", "SECONDS", "CALLS", "EYES", "STREAM")
)
"""Environment variables. The key is read from there alone, and goes nowhere but into the request's header."""

T = TypeVar("T")
Form = Literal["tools", "schema", "text"]
"""How answers are asked for: as tool calls; as text that the server holds to the schema, word by word, which keeps
small models in form; or as text, for models and servers that know neither."""

_SHOWN = 300  # characters of an answer or an error that are kept
_RETRIES = 3  # times that a busy server is asked again
_BUSY = (429, 503)
_CUT = UsageError("the answer was cut short", "all of it", "give a shorter one")


@dataclass(frozen=True)
class Endpoint:
    """Where a model answers.

    url      base of the API, such as http://localhost:11434/v1
    model    its name there
    key      or None
    seconds  that a question may take, its repair included
    prices   of a million tokens in and out, in whatever currency; None is unknown
    calls    how answers are asked for
    eyes     whether it may be shown the photograph
    stream   whether answers come word by word, which keeps proxies from hanging up on a slow model
    """

    url: str
    model: str
    key: str | None = field(default=None, repr=False)
    seconds: float = 60.0
    prices: tuple[float, float] | None = None
    calls: Form = "tools"
    eyes: bool = False
    stream: bool = False

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
            raise UsageError("the language model's address", "http(s)://HOST[:PORT]/v1, no key in it", f"set {URL}")
        if not self.model:
            raise UsageError("a model without a name", "its name at that address", f"set {MODEL}")
        if not 0 < self.seconds < math.inf:
            raise UsageError(f"{self.seconds:g} seconds for an answer", "a number above 0", f"set {SECONDS}")

    @classmethod
    def from_environment(cls) -> Endpoint:
        """The endpoint that the user names; UsageError without one: nothing is asked of anybody by default."""
        url, model = os.environ.get(URL, ""), os.environ.get(MODEL, "")
        if not url or not model:
            raise UsageError("no language model is named", f"{URL} and {MODEL}", "set both, or choose another policy")
        try:
            seconds, prices = float(os.environ.get(SECONDS, "60")), os.environ.get(PRICES)
            paid = tuple(float(part) for part in prices.split(",")) if prices else None
        except ValueError as error:
            raise UsageError(f"{SECONDS} or {PRICES}: {error}", "60, and 0.15,0.60", "correct them") from error
        if paid is not None and (len(paid) != 2 or not all(0 <= price < math.inf for price in paid)):
            raise UsageError(f"{PRICES}={prices}", "two numbers, 0 or more: of a million tokens in, and out")
        calls, eyes, stream = _one_of(CALLS, *get_args(Form)), _one_of(EYES, "off", "on"), _one_of(STREAM, "off", "on")
        key = os.environ.get(KEY) or None
        return cls(url, model, key, seconds, paid, cast(Form, calls), eyes == "on", stream == "on")

    def connect(self, until: float = math.inf, on_busy: Callable[[], None] = lambda: None) -> Any:
        """A pydantic-ai model. A busy server is asked again when it says, unless that is past `until`.

        until    by time.monotonic()
        on_busy  called whenever it will be
        """
        from openai import AsyncOpenAI, DefaultAsyncHttpxClient
        from pydantic_ai.models.openai import OpenAIChatModel
        from pydantic_ai.providers.openai import OpenAIProvider

        async def heard(response: Any) -> None:
            again = response.status_code in _BUSY and time.monotonic() + _wait(response.headers) < until
            response.headers["x-should-retry"] = str(again).lower()  # what the client goes by before all else
            if again:
                on_busy()

        http = DefaultAsyncHttpxClient(event_hooks={"response": [heard]})
        client = AsyncOpenAI(
            base_url=self.url, api_key=self.key or "none", max_retries=_RETRIES, timeout=self.seconds, http_client=http
        )
        return OpenAIChatModel(self.model, provider=OpenAIProvider(openai_client=client))

    def within(self, session: Session) -> float:
        """Seconds that a question may take in a session: no more than are left of its budget."""
        if session.budget.max_seconds is None:
            return self.seconds
        return max(0.0, min(self.seconds, session.budget.max_seconds - session.ledger.elapsed))

    def cost(self, tokens: tuple[int, int]) -> float | None:
        """Of tokens in and out; None when prices are unknown."""
        if self.prices is None:
            return None
        return sum(count * price for count, price in zip(tokens, self.prices, strict=True)) / 1e6

    def hidden(self, text: str) -> str:
        """A text as records may keep it: short, and without the key, which some servers repeat in their errors."""
        return (text.replace(self.key, "[key]") if self.key else text)[:_SHOWN]


def _one_of(variable: str, *known: str) -> str:
    """What a variable says; the first of the known words where it is not set."""
    said = os.environ.get(variable, known[0])
    if said not in known:
        raise UsageError(f"{variable}={said}", " or ".join(known))
    return said


def _wait(headers: Mapping[str, str]) -> float:
    """Seconds that a busy server asks for; 1 when it does not say."""
    said = headers.get("retry-after", "")
    try:
        return float(said)
    except ValueError:
        pass
    try:
        return (parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):
        return 1.0


@dataclass
class Reply(Generic[T]):
    """What became of a question.

    value     the answer, checked; None when there was none that held
    error     why not
    refused   answers that did not hold, and why: the first is repaired once
    requests, tokens (in, out), seconds   what it took
    busy      how often the server said that it is, and was asked again
    """

    value: T | None = None
    error: str | None = None
    refused: list[dict[str, str]] = field(default_factory=list)
    requests: int = 0
    tokens: tuple[int, int] = (0, 0)
    seconds: float = 0.0
    busy: int = 0

    def count_busy(self) -> None:
        """The server will be asked again."""
        self.busy += 1

    def to_dict(self, endpoint: Endpoint) -> dict[str, Any]:
        """What a record keeps."""
        parts = urlsplit(endpoint.url)
        return {
            "model": endpoint.model, "server": f"{parts.scheme}://{parts.netloc}", "requests": self.requests,
            "busy": self.busy, "tokens_in": self.tokens[0], "tokens_out": self.tokens[1],
            "seconds": round(self.seconds, 3), "cost": endpoint.cost(self.tokens), "refused": self.refused,
            "error": self.error,
        }  # fmt: skip


def ask(
    endpoint: Endpoint,
    instructions: str,
    question: str | Sequence[Any],
    schema: Mapping[str, Any],
    read: Callable[[str], Any],
    check: Callable[[Any], T],
    *,
    seconds: float,
    model: Any = None,
) -> Reply[T]:
    """Put a question and check the answer; one that does not hold is sent back once, with what was wrong.

    question  text, or pydantic-ai's parts of text and pictures
    schema    of the answer, for models that can be held to one
    read      makes data of text, UsageError when it finds none
    check     makes a value of data, UsageError when it does not hold
    seconds   after which nobody waits any longer
    model     pydantic-ai's, instead of the endpoint's

    Never raises for what a server does or says; ModelMissing when pydantic-ai is not installed.
    """
    try:
        from pydantic_ai import Agent, ModelRetry
    except ImportError as error:
        raise ModelMissing(f"pydantic-ai: {error}", "it", "pip install 'conservator[agents]'") from error
    reply: Reply[T] = Reply()

    def hold(context: Any, answer: Any) -> T:
        try:
            _check_end(context.messages[-1], endpoint.stream and model is None)
            return check(read(answer) if isinstance(answer, str) else answer)
        except UsageError as error:
            reply.refused.append({"answer": endpoint.hidden(str(answer)), "why": endpoint.hidden(str(error))})
            raise ModelRetry(str(error)) from error

    asked = model or endpoint.connect(time.monotonic() + seconds, reply.count_busy)
    agent = Agent(asked, output_type=_output(endpoint.calls, schema), instructions=instructions,
                  retries={"tools": 1, "output": 1})  # fmt: skip
    agent.output_validator(hold)
    begun = time.perf_counter()
    with ThreadPoolExecutor(1) as thread:  # the caller may live in an event loop of its own
        thread.submit(asyncio.run, _asked(agent, question, seconds, endpoint, reply)).result()
    reply.seconds = time.perf_counter() - begun
    return reply


def _output(form: Form, schema: Mapping[str, Any]) -> Any:
    """What pydantic-ai takes for an answer."""
    from pydantic_ai import NativeOutput, StructuredDict, ToolOutput

    if form == "text":
        return str
    answer = StructuredDict(dict(schema), name="answer")
    return NativeOutput(answer, name="answer") if form == "schema" else [ToolOutput(answer, name="answer"), str]


def _check_end(message: Any, streamed: bool) -> None:
    """UsageError for an answer that was cut short: half a plan may well look like a whole one."""
    # Not the message's own reason, which pydantic-ai makes up where a stream ends without one.
    reason = (message.provider_details or {}).get("finish_reason")
    if reason == "length" or (streamed and reason is None):
        raise _CUT


async def _drained(_: Any, events: Any) -> None:
    async for _event in events:
        pass


async def _asked(
    agent: Any, question: str | Sequence[Any], seconds: float, endpoint: Endpoint, reply: Reply[Any]
) -> None:
    """Fill in the reply."""
    from pydantic_ai import OutputTokenLimitExceeded
    from pydantic_ai.usage import RunUsage, UsageLimits

    usage = RunUsage()
    put = partial(agent.run, usage=usage, usage_limits=UsageLimits(request_limit=2),
                  model_settings={"temperature": 0.0},
                  event_stream_handler=_drained if endpoint.stream else None)  # fmt: skip

    async def repaired() -> Any:
        try:
            return await put(question)
        except OutputTokenLimitExceeded:  # data that was cut short: pydantic-ai gives up where we ask once more
            reply.refused.append({"answer": "", "why": str(_CUT)})
            if usage.requests > 1:
                raise
            return await put([*([question] if isinstance(question, str) else question), str(_CUT)])

    try:
        reply.value = (await asyncio.wait_for(repaired(), seconds)).output
    except TimeoutError:
        reply.error = f"no answer within {seconds:g} s"
    except Exception as error:  # what a server does can break its client in any way
        reply.error = f"{type(error).__name__}: {endpoint.hidden(' '.join(str(error).split()))}"
    reply.requests, reply.tokens = usage.requests, (usage.input_tokens, usage.output_tokens)
