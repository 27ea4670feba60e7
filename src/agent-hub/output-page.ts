/** Output of one stream, without the other's in between. */
export interface OutputPart {
  readonly stream: 'stdout' | 'stderr';
  readonly text: string;
}

/** A stretch of a command's output; places are bytes of both its streams together. */
export interface OutputPage {
  /** Where it begins: later than asked for if older output is not kept any more. */
  readonly offset: number;
  /** To be asked for next. */
  readonly nextOffset: number;
  /** In the order of arrival, neighbours of one stream joined. */
  readonly parts: readonly OutputPart[];
  /** What is missing between the offset asked for and `nextOffset`. */
  readonly droppedBytes: number;
  /** Whether there is more behind it already. */
  readonly hasMore: boolean;
}
