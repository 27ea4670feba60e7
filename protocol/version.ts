import manifest from '../package.json' with { type: 'json' };

/** Version of hub and agent: they are released together. */
export const VERSION: string = manifest.version;

/** Revision of the hub-agent protocol that an agent names in its first message; see PROTOCOL.md. */
export const PROTOCOL_REVISION = 1;
