import { encodeNotification, encodePieces, PROGRESS_METHOD } from '../../protocol/json-rpc.ts';
import { FRAME_MAX_BYTES } from '../../protocol/limits.ts';
import type { Answer } from './answer.ts';
import type { Outlet } from './outlet.ts';

interface Delivery {
  readonly outlet: Outlet;
  readonly done: Promise<void>;
}

/** Answers on their way to the hub: whole, or large results in pieces where the hub takes them. */
export class Deliveries {
  readonly #isCurrent: (outlet: Outlet) => boolean;
  /** Those that go in pieces. */
  readonly #underWay = new Map<string, Delivery>();
  readonly #room = new ByteRoom(FRAME_MAX_BYTES);

  /** Nothing more goes to an outlet that is not current. */
  constructor(isCurrent: (outlet: Outlet) => boolean) {
    this.#isCurrent = isCurrent;
  }

  /** Resolves when the socket took all of it, or nobody hears it. One that is on its way there goes once. */
  async send(answer: Answer, outlet: Outlet | undefined): Promise<void> {
    if (outlet === undefined) return;
    if (!answer.isLarge || outlet.streamWindowBytes === undefined) {
      await taken(outlet, answer.text);
      return;
    }
    let delivery = this.#underWay.get(answer.id);
    if (delivery?.outlet !== outlet) {
      delivery = { outlet, done: this.#sendPieces(answer, outlet) };
      this.#underWay.set(answer.id, delivery);
    }
    await delivery.done;
    if (this.#underWay.get(answer.id) === delivery) this.#underWay.delete(answer.id);
  }

  /** Resolves when none is under way in pieces. */
  async idle(): Promise<void> {
    while (this.#underWay.size > 0) {
      await Promise.all([...this.#underWay.values()].map(({ done }) => done));
    }
  }

  async #sendPieces(answer: Answer, outlet: Outlet): Promise<void> {
    await this.#room.take(answer.bytes);
    try {
      if (this.#isCurrent(outlet)) await this.#sendEach(answer, outlet);
    } finally {
      this.#room.giveBack(answer.bytes);
    }
  }

  async #sendEach(answer: Answer, outlet: Outlet): Promise<void> {
    const { id, firstSeq } = answer;
    let count = 0;
    for (const data of answer.pieces()) {
      const seq = firstSeq + count;
      const piece = { id, seq, stream: 'result', data };
      await taken(outlet, encodeNotification(PROGRESS_METHOD, piece));
      if (!this.#isCurrent(outlet)) return;
      count += 1;
    }
    await taken(outlet, encodePieces(id, count));
  }
}

/** What may be begun at one time: the hub keeps the pieces of so many bytes of results until they are whole. */
class ByteRoom {
  readonly #size: number;
  #taken = 0;
  #line: Promise<void> = Promise.resolve();
  #freed = Promise.withResolvers<void>();

  constructor(size: number) {
    this.#size = size;
  }

  /** In the order of the calls; something larger than the room has it alone. */
  async take(bytes: number): Promise<void> {
    const mine = this.#line.then(async () => {
      while (this.#taken > 0 && this.#taken + bytes > this.#size) await this.#freed.promise;
      this.#taken += bytes;
    });
    this.#line = mine;
    await mine;
  }

  giveBack(bytes: number): void {
    this.#taken -= bytes;
    this.#freed.resolve();
    this.#freed = Promise.withResolvers<void>();
  }
}

/** When the socket took it: each waits for the one before, so that others come between. */
async function taken(outlet: Outlet, text: string): Promise<void> {
  await new Promise<void>((resolve) => {
    outlet.send(text, resolve);
  });
}
