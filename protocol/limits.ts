/** Every size, count and time limit that hub and agent hold each other to. The unit is in the name. */

/** Time an agent has for its first message, before the hub closes with 4001. */
export const HANDSHAKE_TIMEOUT_MS = 10_000;
/** Bytes the hub reads from a socket that has not authenticated. */
export const HANDSHAKE_MAX_BYTES = 64 * 1024;
/** Sockets that may be in the handshake at one time, over all addresses. */
export const HANDSHAKES_MAX_COUNT = 10_000;
/** Sockets of one address that may be in the handshake; past it the one that waits longest goes. */
export const HANDSHAKES_PER_ADDRESS_MAX_COUNT = 1_000;
/** TCP connections of all kinds that the one port holds; past it new ones are dropped. */
export const CONNECTIONS_MAX_COUNT = 50_000;
/** Time a client has for the headers of an HTTP request. */
export const HTTP_HEADERS_TIMEOUT_MS = 10_000;
/** Time a client has for a whole HTTP request, however slowly it goes on. */
export const HTTP_REQUEST_TIMEOUT_MS = 60_000;
/** Largest body of an MCP request. */
export const MCP_BODY_MAX_BYTES = 4 * 1024 * 1024;
/**
 * MCP sessions of 2025-era clients at one time; past it the one unused for longest of the token that
 * has most gives way.
 */
export const MCP_SESSIONS_MAX_COUNT = 1_000;
/** An MCP session unused for so long is closed. */
export const MCP_SESSION_IDLE_MAX_MS = 24 * 60 * 60 * 1_000;
/** Named MCP tokens of one data directory. */
export const MCP_TOKENS_MAX_COUNT = 1_000;
/** Largest frame either side accepts; a larger one closes the socket with 1009. */
export const FRAME_MAX_BYTES = 16 * 1024 * 1024;
/** How deep arrays and objects of a message may nest. */
export const JSON_DEPTH_MAX = 64;
/** Values (members and items) one message may hold. */
export const JSON_VALUES_MAX_COUNT = 250_000;
/** Unsent bytes on an agent's socket past which the hub refuses further calls to it. */
export const SEND_BACKLOG_MAX_BYTES = 16 * 1024 * 1024;
/** How long an agent's socket may be past that, before the hub terminates it. */
export const SEND_BACKLOG_MAX_MS = 60_000;
/** Time a peer has to answer a close frame before its socket is cut. */
export const CLOSE_TIMEOUT_MS = 5_000;
/** Longest close reason that fits a WebSocket close frame (RFC 6455, section 5.5). */
export const CLOSE_REASON_MAX_BYTES = 123;

/** How often the hub looks at every socket. */
export const SWEEP_INTERVAL_MS = 1_000;
/** Silence after which the hub pings a socket. */
export const PING_AFTER_MS = 4_000;
/** Silence after which the hub terminates a socket. */
export const SILENCE_MAX_MS = 9_000;
/** What an agent without `protocol` may stay silent past the deadline of its calls in flight. */
export const SILENCE_GRACE_MS = 10_000;
/** Silence after which an agent gives its socket up and redials. */
export const AGENT_SILENCE_MAX_MS = 15_000;

/** Calls that may wait for one agent at one time. */
export const CALLS_PER_AGENT_MAX_COUNT = 256;
/** Calls that may wait for all agents together. */
export const CALLS_MAX_COUNT = 10_000;
/** Commands that one actor may have under way on one agent, a quarter of what that takes, and on all. */
export const RUNS_PER_ACTOR_AND_AGENT_MAX_COUNT = 64;
export const RUNS_PER_ACTOR_MAX_COUNT = 2_500;
/** Longest time a caller may give a command. */
export const CALL_TIMEOUT_MAX_MS = 24 * 60 * 60 * 1_000;
/** How much longer than the agent the hub waits, so that the agent's own time-out answers first. */
export const CALL_MARGIN_MS = 5_000;

/** Largest notification of an agent about itself or its server; a larger one is ignored. */
export const REPORT_MAX_BYTES = 64 * 1024;
/** Containers, file systems, interfaces, processors and sensors in one report of metrics. */
export const METRICS_CONTAINERS_MAX_COUNT = 300;
export const METRICS_DISKS_MAX_COUNT = 64;
export const METRICS_INTERFACES_MAX_COUNT = 64;
export const METRICS_CORES_MAX_COUNT = 512;
export const METRICS_SENSORS_MAX_COUNT = 64;
/** Characters kept of the message of an agent's error. */
export const ERROR_TEXT_MAX_CHARS = 2_000;
/** Largest `data` of an agent's error that is kept; a larger one is left out. */
export const ERROR_DATA_MAX_BYTES = 4 * 1024;
/** Protocol violations of one socket that are ignored and counted before it is closed with 4008. */
export const VIOLATIONS_MAX_COUNT = 16;

/**
 * The hub's time that an agent may take at once with frames that no call waits for, and how many times
 * as long as what it takes beyond that the hub then reads nothing of it; at most so long at once.
 */
export const UNASKED_ALLOWANCE_MS = 200;
export const UNASKED_PAUSE_FACTOR = 9;
export const UNASKED_PAUSE_MAX_MS = 3_000;
/** Agents of which the hub remembers what they took. */
export const UNASKED_DEBTS_MAX_COUNT = 10_000;

/** Answers an agent keeps until the hub has stored them; past it the oldest go. */
export const HELD_ANSWERS_MAX_COUNT = 1_000;
export const HELD_ANSWERS_MAX_BYTES = 64 * 1024 * 1024;
/** How often the hub tells an agent which of its answers are stored. */
export const STORED_INTERVAL_MS = 100;
/** Answers of one agent that the hub tells it of at once, without waiting for that interval. */
export const STORED_BATCH_MAX_COUNT = 256;
/** How long the hub waits for an agent that is away and may still have a command's answer. */
export const DETACHED_MAX_MS = 24 * 60 * 60 * 1_000;
/** How much longer than any call may last its row may say `running`. */
export const RUNNING_MARGIN_MS = 60 * 60 * 1_000;
/** Answers for detached commands that wait for a database that refused them; past it they are given up. */
export const DETACHED_WRITES_MAX_COUNT = 10_000;
export const DETACHED_WRITES_MAX_BYTES = 32 * 1024 * 1024;
/** The same of one agent. */
export const DETACHED_WRITES_PER_AGENT_MAX_COUNT = 1_000;
export const DETACHED_WRITES_PER_AGENT_MAX_BYTES = 16 * 1024 * 1024;

/** Output of a lossless stream that may be on its way or unread; past it the agent stops reading its source. */
export const STREAM_WINDOW_BYTES = 256 * 1024;
/** Largest piece of output or of a result in one message. */
export const PIECE_MAX_BYTES = 64 * 1024;
/** How often a command that runs gives a sign of life. */
export const LIFE_SIGN_INTERVAL_MS = 5_000;
/** How long output gathers before it is sent; a command that ends earlier sends its result alone. */
export const OUTPUT_INTERVAL_MS = 200;
/** Newest output that the hub keeps of a command that runs. */
export const OUTPUT_KEPT_MAX_BYTES = 1024 * 1024;
/** The same of all commands together; past it the longest unread goes. */
export const OUTPUT_KEPT_OVERALL_MAX_BYTES = 128 * 1024 * 1024;
/** A lossless stream that nobody reads for so long is ended. */
export const UNREAD_MAX_MS = 10 * 60 * 1_000;
/** How long and how much the results of commands are kept for `get_command`; past it the oldest go of whoever has most. */
export const RESULT_KEPT_MS = 24 * 60 * 60 * 1_000;
export const RESULTS_KEPT_MAX_BYTES = 512 * 1024 * 1024;

/** Output kept of each of stdout and stderr of a command; the newest is kept. */
export const EXEC_OUTPUT_MAX_BYTES = 1024 * 1024;
/** Log text in one answer; the newest lines are kept. */
export const LOG_RESULT_MAX_BYTES = 4 * 1024 * 1024;
/** Longest line of a log that is passed on as one; a longer one counts as several. */
export const LOG_LINE_MAX_BYTES = 1024 * 1024;
/** Containers that an agent follows for `docker.compose.logs`; each takes a connection to the engine. */
export const COMPOSE_FOLLOWED_MAX_COUNT = 128;
/** Events of the engine in one answer, and their JSON; the newest are kept. */
export const ENGINE_EVENTS_MAX_COUNT = 5_000;
export const ENGINE_EVENTS_MAX_BYTES = 4 * 1024 * 1024;

/** Longest text that an event of the engine keeps of a name, an image or a health check. */
export const EVENT_TEXT_MAX_CHARS = 255;
/** Events of the engine that an agent tells at once, and how many it regains per minute; the rest it counts. */
export const EVENTS_BURST_COUNT = 60;
export const EVENTS_PER_MINUTE_COUNT = 30;
/** How often it tells what it counted. */
export const EVENTS_SUMMARY_INTERVAL_MS = 60_000;
/** Events an agent keeps until the hub has taken them; past it the oldest go. */
export const EVENTS_HELD_MAX_COUNT = 1_000;
/** How long an agent waits for the hub to take events or log lines, before it sends them again. */
export const RESEND_AFTER_MS = 30_000;

/** Containers whose logs one agent collects at one time. */
export const LOG_CONTAINERS_MAX_COUNT = 500;
/** Containers that one `logs.push` may name: those that ended or were renamed while it gathered as well. */
export const LOG_BATCH_CONTAINERS_MAX_COUNT = LOG_CONTAINERS_MAX_COUNT * 2;
/** Kept of a container's name beside its log; the rest of it is cut off. */
export const LOG_CONTAINER_NAME_MAX_CHARS = 255;
/** Kept of one line of a container's log; the rest of it is cut off. */
export const COLLECTED_LINE_MAX_BYTES = 16 * 1024;
/** Largest `logs.push`. */
export const LOG_BATCH_MAX_BYTES = 256 * 1024;
/** How long lines gather before they are pushed. */
export const LOG_BATCH_INTERVAL_MS = 1_000;
/** Batches on their way to the hub; past it the agent stops reading the logs. */
export const LOG_BATCHES_MAX_COUNT = 4;
/** How many times as long as a batch took the hub to store it leaves between two acknowledgements. */
export const LOG_ACK_PAUSE_FACTOR = 3;
/** How far the hub may be behind with that before it stores no more. */
export const LOG_ACK_BACKLOG_MAX_MS = 5_000;
/** Log lines kept of one agent unless the setting `agent_log_keep_mib` says otherwise; the oldest go. */
export const LOG_KEEP_DEFAULT_MIB = 64;
export const LOG_KEEP_MAX_MIB = 1_024;
/** The same of all agents together; past it the oldest go of whoever has most. */
export const LOGS_KEPT_MAX_BYTES = 8 * 1024 * 1024 * 1024;
/** How long one search may take; what it has found by then is answered. */
export const LOG_SEARCH_MAX_MS = 10_000;
/** Searches of the logs, of which one runs and the others wait; further ones are refused. */
export const LOG_SEARCHES_MAX_COUNT = 8;

/** Resources that one MCP session may subscribe to. */
export const SUBSCRIPTIONS_MAX_COUNT = 1_000;
/** How often one resource's subscribers are told of its changes. */
export const RESOURCE_UPDATE_INTERVAL_MS = 1_000;

/** What a replaced agent may take to finish its commands before its socket is closed. */
export const RETIRE_MAX_MS = 60_000;
/** How long a candidate has to answer the ping it is promoted for. */
export const PROMOTION_PING_MS = 10_000;

/** How long both tokens of a rotation are good unless the new one is used; setting `agent_token_grace_minutes`. */
export const TOKEN_GRACE_DEFAULT_MINUTES = 60;
/** Tokens an agent keeps that it was given and never used; past it the oldest go. */
export const UNUSED_TOKENS_MAX_COUNT = 8;
/** What an agent may take to reach the address it is to move to, before it stays where it is. */
export const MOVE_MAX_MS = 30_000;
/** Addresses of copies of an agent that are remembered; past it the oldest go. */
export const DUPLICATE_ADDRESSES_MAX_COUNT = 16;
/** Superseded processes of an agent that the hub knows again when they come back. */
export const SUPERSEDED_INSTANCES_MAX_COUNT = 8;

/** A registration code's default lifetime; setting `agent_code_ttl_minutes`. */
export const CODE_TTL_DEFAULT_MINUTES = 5;
/** Unknown registration codes an address may try at once, and how many it regains per minute. */
export const ATTEMPTS_BURST_COUNT = 20;
export const ATTEMPTS_PER_MINUTE_COUNT = 10;
/** The same over all addresses together. */
export const ATTEMPTS_OVERALL_BURST_COUNT = 1_000;
export const ATTEMPTS_OVERALL_PER_MINUTE_COUNT = 600;
/** Addresses whose attempts are remembered. */
export const ATTEMPT_ADDRESSES_MAX_COUNT = 10_000;

/** Redial: first delay, longest delay, shortest delay, and the health that sets it back to the start. */
export const REDIAL_FIRST_MS = 1_000;
export const REDIAL_MAX_MS = 60_000;
export const REDIAL_MIN_MS = 250;
export const REDIAL_HEALTHY_AFTER_MS = 1_000;
/** Redial after a refusal that dialling again cannot mend (4001, 4003, 4004, 4013). */
export const REDIAL_SLOW_MS = 60_000;
