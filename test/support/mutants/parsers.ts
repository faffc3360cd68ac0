/** Bugs that parsers have: the fuzzer must find each, told by nothing but what the readers do. */
import type { Change } from '../mutation.ts';

const HEADER = 'src/formats/esdk/header.ts';
const MESSAGE = 'src/formats/esdk/open-message.ts';
const FRAMES = 'src/formats/esdk/open-frames.ts';

export const parsers: Change[] = [
  {
    breaks: 'a field that ends a byte behind the bytes there are is read all the same',
    file: 'src/formats/esdk/cursor.ts',
    find: 'this.#offset + size > this.#bytes.length',
    replace: 'this.#offset + size > this.#bytes.length + 1',
  },
  {
    breaks: 'texts that are no UTF-8 are mended',
    file: 'src/formats/esdk/context.ts',
    find: '{ fatal: true, ignoreBOM: true }',
    replace: '{ ignoreBOM: true }',
  },
  {
    breaks: 'a name of the context may come twice',
    file: 'src/formats/esdk/context.ts',
    find: 'if (pairs.has(name))',
    replace: 'if (pairs.size > 100)',
  },
  {
    breaks: 'reserved bytes may hold anything',
    file: HEADER,
    find: 'if (isOld && cursor.u32() !== 0)',
    replace: 'if (isOld && cursor.u32() < 0)',
  },
  {
    breaks: 'a suite of the other message version is taken',
    file: 'src/formats/esdk/suites.ts',
    find: 'row.id === id && row.messageVersion === messageVersion',
    replace: 'row.id === id && messageVersion > 0',
  },
  {
    breaks: 'a suite that does not sign may have a key to verify',
    file: 'src/formats/esdk/signature.ts',
    find: 'if (text !== undefined) throw badHeader',
    replace: "if (text === '') throw badHeader",
  },
  {
    breaks: 'a message cut off between two frames is whole',
    file: MESSAGE,
    find: "if (!this.#last || !this.#isBodyOver) throw this.#fail('truncated', 'the message ends before this frame does');",
    replace: 'if (!this.#last) return Buffer.alloc(0);',
  },
  {
    breaks: 'a header may commit to another key',
    file: 'src/formats/esdk/keys.ts',
    find: 'if (!timingSafeEqual(header.commitment, keys.commitment))',
    replace: 'if (header.commitment.length !== keys.commitment.length)',
  },
  {
    breaks: 'room is made for what a frame claims before anybody is asked',
    file: MESSAGE,
    find: '    this.#reserve(size);\n    const plain = Buffer.allocUnsafeSlow(size);\n    const plainSize',
    replace: '    const plain = Buffer.allocUnsafeSlow(size);\n    this.#reserve(size);\n    const plainSize',
  },
  {
    breaks: 'bytes behind the signature are passed over',
    file: MESSAGE,
    find: "if (rest.length > 0) throw this.#fail('trailing-bytes'",
    replace: "if (rest.length > 0 && !this.#signature) throw this.#fail('trailing-bytes'",
  },
  {
    breaks: 'bytes behind the last frame are passed over',
    file: FRAMES,
    find: "if (this.#number > this.#lastFrame) throw this.#fail('trailing-bytes', 'bytes follow the last frame');",
    replace: 'if (this.#number > this.#lastFrame) return sealed.length;',
  },
  {
    breaks: 'a frame that never ends is waited for without end',
    file: FRAMES,
    find: 'if (this.#left > 0) {',
    replace: 'if (this.#left > 0 || sealed.length === 33) {',
  },
];
