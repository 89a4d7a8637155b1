"""The names we put on spans, in one table.

The constants of the `opentelemetry-semantic-conventions` wheel are deprecated stubs for
everything GenAI, and lack what was added since; these are our own.
"""

from typing import Final

SCOPE_NAME: Final = "turnspan"

# Source: https://github.com/open-telemetry/semantic-conventions-genai, manifest of
# 88eccb155ca7d6984826da1f4b1c08ee916e0f49 (2026-10)
SCHEMA_URL: Final = "https://opentelemetry.io/schemas/gen-ai-dev/1.42.0-dev"

# Source: the same, model/gen-ai/registry, `gen_ai.operation.name`
CHAT: Final = "chat"
EMBEDDINGS: Final = "embeddings"
EXECUTE_TOOL: Final = "execute_tool"
INVOKE_AGENT: Final = "invoke_agent"
RETRIEVAL: Final = "retrieval"

# Source: the same, model/gen-ai/registry (attributes) and spans (which span carries which)
OPERATION_NAME: Final = "gen_ai.operation.name"
PROVIDER_NAME: Final = "gen_ai.provider.name"
CONVERSATION_ID: Final = "gen_ai.conversation.id"
AGENT_NAME: Final = "gen_ai.agent.name"
AGENT_DESCRIPTION: Final = "gen_ai.agent.description"
DATA_SOURCE_ID: Final = "gen_ai.data_source.id"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_STREAM: Final = "gen_ai.request.stream"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_ID: Final = "gen_ai.response.id"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
OUTPUT_TYPE: Final = "gen_ai.output.type"
SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"
TOOL_DEFINITIONS: Final = "gen_ai.tool.definitions"
TOOL_NAME: Final = "gen_ai.tool.name"
TOOL_TYPE: Final = "gen_ai.tool.type"
TOOL_DESCRIPTION: Final = "gen_ai.tool.description"
TOOL_CALL_ID: Final = "gen_ai.tool.call.id"
TOOL_ARGUMENTS: Final = "gen_ai.tool.call.arguments"
TOOL_RESULT: Final = "gen_ai.tool.call.result"
RETRIEVAL_QUERY: Final = "gen_ai.retrieval.query.text"
RETRIEVAL_DOCUMENTS: Final = "gen_ai.retrieval.documents"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
CACHE_READ_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE_TOKENS: Final = "gen_ai.usage.cache_write.input_tokens"
REASONING_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"

# Source: the same, input and output message schemas
MODALITIES: Final = ("image", "audio")
URI_SCHEMES: Final = ("http://", "https://", "data:", "s3://", "gs://", "file://")
# Ours: the conventions require a provider of every model call, and have no word for not knowing
UNKNOWN_PROVIDER: Final = "unknown"

# Source: the same; our field → attribute
USAGE: Final = (
    ("input_tokens", INPUT_TOKENS),
    ("output_tokens", OUTPUT_TOKENS),
    ("cache_read_tokens", CACHE_READ_TOKENS),
    ("cache_write_tokens", CACHE_WRITE_TOKENS),
    ("reasoning_tokens", REASONING_TOKENS),
)

# Source: the same, `gen_ai.request.*`; a client's parameter → attribute and its type
REQUEST_PARAMETERS: Final[dict[str, tuple[str, type]]] = {
    "max_tokens": ("gen_ai.request.max_tokens", int),
    "max_completion_tokens": ("gen_ai.request.max_tokens", int),
    "max_output_tokens": ("gen_ai.request.max_tokens", int),
    "temperature": ("gen_ai.request.temperature", float),
    "top_p": ("gen_ai.request.top_p", float),
    "top_k": ("gen_ai.request.top_k", int),
    "frequency_penalty": ("gen_ai.request.frequency_penalty", float),
    "presence_penalty": ("gen_ai.request.presence_penalty", float),
    "seed": ("gen_ai.request.seed", int),
    "stop": ("gen_ai.request.stop_sequences", list),
    "stop_sequences": ("gen_ai.request.stop_sequences", list),
    "n": ("gen_ai.request.choice.count", int),
    "reasoning_effort": ("gen_ai.request.reasoning.level", str),
    "previous_response_id": ("gen_ai.request.previous_response.id", str),
}
EMBEDDING_PARAMETERS: Final[dict[str, tuple[str, type]]] = {
    "dimensions": ("gen_ai.embeddings.dimension.count", int),
    "encoding_format": ("gen_ai.request.encoding_formats", list),
    "encoding_formats": ("gen_ai.request.encoding_formats", list),
}
# Source: the same, `gen_ai.output.type`; what a client's `response_format` calls it → its member
OUTPUT_TYPES: Final = {"text": "text", "json_object": "json", "json_schema": "json"}

CHOICE_COUNT: Final = "gen_ai.request.choice.count"
TOKEN_MODALITY: Final = "gen_ai.token.modality"  # noqa: S105  # of tokens, not a secret

# Source: the same, model/gen-ai/events.yaml, `gen_ai.evaluation.result`
EVALUATION_RESULT: Final = "gen_ai.evaluation.result"
EVALUATION_NAME: Final = "gen_ai.evaluation.name"
EVALUATION_SCORE: Final = "gen_ai.evaluation.score.value"
EVALUATION_LABEL: Final = "gen_ai.evaluation.score.label"
EVALUATION_EXPLANATION: Final = "gen_ai.evaluation.explanation"
FEEDBACK: Final = "feedback"  # what we call the metric: the conventions ask for a name

# Source: https://opentelemetry.io/docs/specs/semconv/registry/attributes/error/ v1.44.0
ERROR_TYPE: Final = "error.type"
OTHER_ERROR: Final = "_OTHER"

# Source: https://opentelemetry.io/docs/specs/semconv/registry/attributes/exception/ v1.44.0
EXCEPTION: Final = "exception"
EXCEPTION_TYPE: Final = "exception.type"
EXCEPTION_MESSAGE: Final = "exception.message"
EXCEPTION_STACKTRACE: Final = "exception.stacktrace"
EXCEPTION_ESCAPED: Final = "exception.escaped"

# Source: https://opentelemetry.io/docs/specs/semconv/registry/attributes/ v1.44.0
SESSION_ID: Final = "session.id"
USER_ID: Final = "user.id"

# Source: https://github.com/Arize-ai/openinference spec/semantic_conventions.md (2026-10);
# several tools show nothing of a root or a tool without these
INPUT_VALUE: Final = "input.value"
INPUT_MIME_TYPE: Final = "input.mime_type"
OUTPUT_VALUE: Final = "output.value"
OUTPUT_MIME_TYPE: Final = "output.mime_type"

# Source: https://opentelemetry.io/docs/specs/semconv/resource/ v1.44.0
SERVICE_NAME: Final = "service.name"
UNKNOWN_SERVICE: Final = "unknown_service"
SDK_LANGUAGE: Final = "telemetry.sdk.language"
SDK_NAME: Final = "telemetry.sdk.name"
SDK_VERSION: Final = "telemetry.sdk.version"

# Ours: what a turn holds and no convention names
TURN_ID: Final = "turnspan.turn.id"
TURN_NUMBER: Final = "turnspan.turn.number"
TURN_STATUS: Final = "turnspan.turn.status"
TURN_RESUMES: Final = "turnspan.turn.resumes"
FEEDBACK_ID: Final = "turnspan.feedback.id"
STEP_STATUS: Final = "turnspan.step.status"
STEP_POSITION: Final = "turnspan.step.position"  # where their ends do not tell the order
REASONING: Final = "turnspan.reasoning"  # of steps that have no messages to hold it as a part
AGENT_ID: Final = "turnspan.agent.id"  # of the registry's own, internal agent spans carry neither
AGENT_VERSION: Final = "turnspan.agent.version"
TAGS: Final = "turnspan.tags"
METADATA: Final = "turnspan.metadata"
COST_USD: Final = "turnspan.usage.cost_usd"
TURN_STEPS: Final = "turnspan.turn.steps"  # how many, so that a reader knows when all are there
REST: Final = "turnspan.rest"  # fields that no other attribute carries, as a JSON object
PROFILED: Final = "turnspan.profiled"  # the keys that profiles added: they repeat what is there
NOTED: Final = "turnspan.noted"  # what other code covered on the span, as a JSON object

# Source: https://github.com/open-telemetry/opentelemetry-proto trace/v1/trace.proto v1.9.0,
# `Span.SpanKind`, `Status.StatusCode`, `SpanFlags`
KIND_INTERNAL: Final = 1
KIND_CLIENT: Final = 3
STATUS_UNSET: Final = 0
STATUS_OK: Final = 1
STATUS_ERROR: Final = 2
FLAGS_HAS_IS_REMOTE: Final = 0x100

# Ours: how recording and delivery are doing, in the manner of the `otel.sdk.*` metrics of
# https://opentelemetry.io/docs/specs/semconv/otel/sdk-metrics/ v1.44.0
TURNS_RECORDED: Final = "turnspan.turn.recorded"
TURNS_DROPPED: Final = "turnspan.turn.dropped"
TURNS_DELIVERED: Final = "turnspan.exporter.turn.delivered"
TURNS_REFUSED: Final = "turnspan.exporter.turn.refused"
TURNS_UNSENT: Final = "turnspan.exporter.turn.unsent"
UNSENT_AGE: Final = "turnspan.exporter.unsent.age"
DELIVERY_DURATION: Final = "turnspan.exporter.delivery.duration"
JOURNAL_SIZE: Final = "turnspan.journal.size"
EXPORTER_NAME: Final = "turnspan.exporter.name"
