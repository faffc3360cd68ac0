/**
 * A file of a directory, opened for reading. Whoever asks for its bytes reads them by itself, at once: a call handed to
 * the I/O pool wakes one thread and then the other, and where every core opens or seals, whoever is woken takes the core
 * of one that works. That took a fifth of the time of two threads that open.
 */
import { type BigIntStats, closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { codeOf } from './directory-files.ts';

const { O_NOFOLLOW = 0, O_NONBLOCK = 0, O_RDONLY } = constants;

export class OpenedFile implements Disposable {
  readonly #fd: number;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** Undefined where there is none. A symbolic link is refused; a pipe in its place does not hang. */
  static open(path: string): OpenedFile | undefined {
    try {
      return new OpenedFile(openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  stat(): BigIntStats {
    return fstatSync(this.#fd, { bigint: true });
  }

  /** Returns how many bytes from `position` on were read into `bytes`: 0 at the file's end. */
  read(bytes: Buffer, position: number): number {
    return readSync(this.#fd, bytes, 0, bytes.length, position);
  }

  /** The first bytes, `size` of them or all there are. */
  readStart(size: number): Buffer {
    const bytes = Buffer.alloc(size);
    let done = 0;
    for (let read = -1; done < size && read !== 0; done += read) read = this.read(bytes.subarray(done), done);
    return bytes.subarray(0, done);
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}
