/** The changes that the fuzzer makes to messages, and the dice that it makes them with. */
import { ALL_SUITES, encodePairs, type FrameFields, frame, type MessageFields, sized, u16 } from './writer.ts';

/** Mulberry32: small, seeded, the same everywhere. */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** A whole number from 0, below `sides`. */
  roll(sides: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * sides);
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.roll(choices.length)]!;
  }

  bytes(size: number): Buffer {
    return Buffer.from(Uint8Array.from({ length: size }, () => this.roll(256)));
  }
}

type Lie = (fields: MessageFields, dice: Dice) => void;

/** Lies that the key has authenticated. The name is shown where one gets through. */
export const LIES: Record<string, Lie> = {
  'another version': ({ header }, dice) => {
    header.version = header.form = dice.pick([0, 1, 2, 3, 0x41]);
  },
  'the other version in name alone': ({ header }) => {
    header.version = 3 - header.form;
  },
  'another type': ({ header }, dice) => {
    header.type = dice.roll(256);
  },
  'another suite': ({ header }, dice) => {
    header.suiteId = dice.pick([...ALL_SUITES.map(({ id }) => id), dice.roll(65536)]);
  },
  'another message id': ({ header }, dice) => {
    header.messageId = dice.bytes(header.messageId.length);
  },
  'a message id of another size': ({ header }, dice) => {
    header.messageId = dice.bytes(dice.pick([0, 15, 17, 31, 33]));
  },
  'another size of context': ({ header }, dice) => {
    header.contextSize = nearby(header.contextSize, dice);
  },
  'a context of no pairs': ({ header }) => void Object.assign(header, { context: u16(0), contextSize: 2 }),
  'a name twice': ({ header }) =>
    setContext(header, Buffer.concat([u16(2), ...Array(4).fill(sized(Buffer.from('a')))])),
  'a context cut short': ({ header }, dice) => {
    const { context } = header;
    if (context.length > 1) setContext(header, context.subarray(0, 1 + dice.roll(context.length - 1)));
  },
  'more context than pairs': ({ header }, dice) =>
    setContext(header, Buffer.concat([header.context, dice.bytes(1 + dice.roll(4))])),
  'a context that is no UTF-8': ({ header }) =>
    setContext(header, Buffer.concat([u16(1), sized(Buffer.from([0xff])), sized(Buffer.from('a'))])),
  'another key to verify': ({ header }, dice) =>
    setContext(header, encodePairs({ 'aws-crypto-public-key': dice.pick(['', 'AAAA', '!', 'A'.repeat(68)]) })),
  'another context': ({ header }) => setContext(header, encodePairs({ other: 'pairs' })),
  'pairs that nobody knows of': (fields) => {
    fields.unstored = encodePairs({ unknown: 'pair' });
  },
  'another count of keys': ({ header }, dice) => {
    header.keyCount = dice.pick([0, 2, 100, 101, 65535]);
  },
  'damaged keys': ({ header }, dice) => {
    header.keys = scrambled(header.keys, dice);
  },
  'a header larger than any': ({ header }) => {
    const key = Buffer.concat([sized(Buffer.from('p')), sized(Buffer.alloc(0xffff)), sized(Buffer.alloc(0xffff))]);
    Object.assign(header, { keyCount: 1, keys: key });
  },
  'another content type': ({ header }, dice) => {
    header.contentType = dice.roll(4);
  },
  'reserved bytes': ({ header }, dice) => {
    header.reserved = dice.pick([1, 0xff000000]);
  },
  'another size of nonces': ({ header }, dice) => {
    header.nonceSize = dice.pick([0, 11, 13, 255]);
  },
  'another frame size': ({ header }, dice) => {
    header.frameSize = dice.pick([0, 1, nearby(header.frameSize, dice), 0xffffffff]);
  },
  'another commitment': ({ header }, dice) => {
    header.commitment = dice.bytes(32);
  },
  'another nonce of the header': ({ header }, dice) => {
    header.nonce = dice.bytes(12);
  },
  'another nonce of a frame': ({ frames }, dice) => {
    dice.pick(frames).nonce = dice.bytes(12);
  },
  'another number': ({ frames }, dice) => {
    const some = dice.pick(frames);
    some.number = dice.pick([0, some.number + 1, some.number - 1, 0xffffffff]);
  },
  'another size claimed': ({ frames }, dice) => {
    frames.at(-1)!.size = nearby(frames.at(-1)!.size, dice);
  },
  'an enormous size claimed': ({ frames }, dice) => {
    frames.at(-1)!.size = dice.pick([2 ** 31, 2 ** 32 - 1]);
  },
  'a final frame in the middle': ({ frames }, dice) => {
    dice.pick(frames).kind = 'final';
  },
  'no final frame': ({ frames }) => {
    frames.at(-1)!.kind = 'regular';
  },
  'a block among frames': ({ frames }, dice) => {
    dice.pick(frames).kind = 'block';
  },
  'a frame dropped': ({ frames }, dice) => void frames.splice(dice.roll(frames.length), 1),
  'a frame twice': ({ frames }, dice) => {
    const at = dice.roll(frames.length);
    frames.splice(at, 0, frames[at]!);
  },
  'frames swapped': ({ frames }, dice) => {
    const [a, b] = [dice.roll(frames.length), dice.roll(frames.length)];
    [frames[a], frames[b]] = [frames[b]!, frames[a]!];
  },
  'a frame behind the final one': ({ frames }) => void frames.push(frame('final', frames.length + 1, Buffer.alloc(0))),
  'a final frame larger than frames are': ({ header, frames }, dice) => {
    const plain = Buffer.concat(frames.map((some) => some.plain));
    const kept = frames.filter((some) => some.kind === 'regular').slice(0, dice.roll(3));
    const rest = plain.subarray(kept.length * header.frameSize);
    if (rest.length <= header.frameSize) return;
    frames.splice(0, frames.length, ...kept, frame('final', kept.length + 1, rest));
  },
  'an empty frame in the middle': ({ frames }, dice) => {
    const at = dice.roll(frames.length);
    frames.splice(at, 0, frame('regular', at + 1, Buffer.alloc(0)));
    renumber(frames);
  },
  'no footer': (fields) => {
    fields.footer = () => Buffer.alloc(0);
  },
  'a footer cut short': (fields, dice) =>
    changeFooter(fields, (footer) => footer.subarray(0, dice.roll(footer.length))),
  'a footer of another size': (fields, dice) =>
    changeFooter(fields, (footer) => Buffer.concat([u16(nearby(footer.length - 2, dice)), footer.subarray(2)])),
  'another signature': (fields, dice) => changeFooter(fields, (footer) => scrambled(footer, dice)),
  'a footer twice': (fields) => changeFooter(fields, (footer) => Buffer.concat([footer, footer])),
  'bytes behind the footer': (fields, dice) =>
    changeFooter(fields, (footer) => Buffer.concat([footer, dice.bytes(1 + dice.roll(8))])),
};

/** Lies that are none: whoever has the key may write such messages, and they open. */
export const HARMLESS = new Set([
  'another message id',
  'another context',
  'another frame size',
  'another nonce of the header',
  'another nonce of a frame',
  'damaged keys',
]);

/** Changes that anybody can make. */
export const DAMAGES: Record<string, (sealed: Buffer, dice: Dice) => Buffer> = {
  nothing: (sealed) => sealed,
  'a bit flipped': (sealed, dice) => {
    const copy = Buffer.from(sealed);
    copy[dice.roll(copy.length)]! ^= 1 << dice.roll(8);
    return copy;
  },
  'bytes replaced': (sealed, dice) => {
    const copy = Buffer.from(sealed);
    dice.bytes(1 + dice.roll(8)).copy(copy, dice.roll(copy.length));
    return copy;
  },
  'made base64 text': (sealed) => Buffer.from(sealed.toString('base64')),
  'cut off': (sealed, dice) => sealed.subarray(0, dice.roll(sealed.length)),
  'bytes behind': (sealed, dice) => Buffer.concat([sealed, dice.bytes(1 + dice.roll(120))]),
  'bytes taken out': (sealed, dice) => {
    const at = dice.roll(sealed.length);
    return Buffer.concat([sealed.subarray(0, at), sealed.subarray(at + 1 + dice.roll(40))]);
  },
  'bytes put in': (sealed, dice) => {
    const at = dice.roll(sealed.length);
    return Buffer.concat([sealed.subarray(0, at), dice.bytes(1 + dice.roll(40)), sealed.subarray(at)]);
  },
};

function nearby(size: number, dice: Dice): number {
  return Math.max(0, dice.pick([size + 1, size - 1, size + 16, size - 16, size * 2]));
}

function scrambled(bytes: Buffer, dice: Dice): Buffer {
  const copy = Buffer.from(bytes);
  if (copy.length > 0) copy[dice.roll(copy.length)]! ^= 1 + dice.roll(255);
  return copy;
}

function setContext(header: MessageFields['header'], context: Buffer): void {
  Object.assign(header, { context, contextSize: context.length });
}

function changeFooter(fields: MessageFields, change: (footer: Buffer) => Buffer): void {
  const { footer } = fields;
  fields.footer = (signature) => change(footer(signature));
}

function renumber(frames: FrameFields[]): void {
  for (const [index, some] of frames.entries()) some.number = index + 1;
}
