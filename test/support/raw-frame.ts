export const OPCODES = {
  continuation: 0,
  text: 1,
  binary: 2,
  close: 8,
  ping: 9,
  pong: 10,
} as const;

interface FrameOptions {
  readonly opcode: number;
  readonly payload?: Buffer | string;
  /** The last piece of its message. */
  readonly isLast?: boolean;
  /** The three reserved bits of the first byte. */
  readonly reserved?: number;
  readonly isMasked?: boolean;
  /** What the header says, if not the payload's own. */
  readonly announcedBytes?: number;
}

/** A WebSocket frame as no proper client sends it (RFC 6455, section 5.2); its mask is zero. */
export function rawFrame(options: FrameOptions): Buffer {
  const { opcode, isLast = true, reserved = 0, isMasked = true } = options;
  const payload = Buffer.from(options.payload ?? '');
  const bytes = options.announcedBytes ?? payload.byteLength;
  const head = Buffer.alloc(10);
  head.writeUInt8((isLast ? 0x80 : 0) | (reserved << 4) | opcode, 0);
  const mask = isMasked ? 0x80 : 0;
  if (bytes < 126) head.writeUInt8(mask | bytes, 1);
  else {
    head.writeUInt8(mask | 127, 1);
    head.writeBigUInt64BE(BigInt(bytes), 2);
  }
  const key = Buffer.alloc(isMasked ? 4 : 0);
  return Buffer.concat([head.subarray(0, bytes < 126 ? 2 : 10), key, payload]);
}

/** A text message in frames of one byte each. */
export function bytewise(text: string): Buffer {
  const bytes = [...Buffer.from(text)];
  const frames = bytes.map((byte, index) =>
    rawFrame({
      opcode: index === 0 ? OPCODES.text : OPCODES.continuation,
      payload: Buffer.from([byte]),
      isLast: index === bytes.length - 1,
    }),
  );
  return Buffer.concat(frames);
}
