/** The text of `tomo help`. */
export const HELP = `Usage: tomo [COMMAND] [FLAGS]

  tomo              MCP over stdio, with the hub in the same process
  tomo serve        MCP over HTTP at /mcp, agents at /ws/agent
  tomo quickstart   tomo serve with an agent for this machine, and how to connect
  tomo agent        the agent outside a container (SERVER_URL, REGISTER_CODE, DATA_DIR)
  tomo token        print the bearer token of MCP over HTTP
  tomo token add NAME --access LEVEL | ls | rm NAME
                    named tokens that may do less (read, operate) or be ended
  tomo backup FILE  write database, tokens and certificate into one file
  tomo restore FILE [--replace]
                    start from such a file
  tomo help | version

Flags (each has an environment twin, such as TOMO_DATA_DIR; a flag beats it)
  --host ADDRESS      listen here (127.0.0.1)
  --port NUMBER       and on this port (8000)
  --data-dir DIR      database, token, locks
  --public-url URL    http(s) address at which agents reach this server
  --tls-cert FILE --tls-key FILE
                      PEM files; taken anew when they change
  --tls-self-signed   a certificate that Tomo makes and agents are told of
  --trusted-proxies LIST
                      addresses, networks whose X-Forwarded-For is believed
  --insecure-http     allow other addresses than this machine's without TLS
  --read-only         only methods that change nothing
  --local-agent       also run an agent for this machine: server_id "local"
  --log-level LEVEL   trace debug info warn error fatal silent (info)

TOMO_TOKEN (32 characters or more) replaces the token of the data directory.
`;
