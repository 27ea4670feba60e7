/** Where messages of commands go at present: the socket of one session. */
export interface Outlet {
  /** Calls `sent` in any case: what follows a message does so even if nobody hears it. */
  readonly send: (text: string, sent?: () => void) => void;
  /** Whether the hub there says which answers it has stored. */
  readonly confirms: boolean;
  /** Bytes of a lossless output it takes unacknowledged; undefined: it takes no `$/progress` at all. */
  readonly streamWindowBytes: number | undefined;
}
