/** Amazon's S3 Encryption Client for Java, asked whether it opens what we wrote. It is built where that is needed. */
import { devNull } from 'node:os';
import { GiB } from '../../src/units.ts';
import { type RunningPeer, startJava } from '../interop/s3ec/peers.ts';
import { POLICY_TO_WRITE } from '../interop/s3ec/shapes.ts';
import { runs } from '../sandbox/contract.ts';

export const hasJava = runs('java', '-version') && runs('mvn', '--version');

/** What the name of a test says of the part that the client has in it. */
export const OPENED_BY_JAVA = hasJava ? 'opened by the Java client' : 'not opened by the Java client: no Java or Maven';

/** What it may take to fetch and build the client on a machine that has never had it. */
export const JAVA_BUILD_MS = 600_000;

/** Java's own cipher gives nothing out before it has seen the tag, and so holds all of it: in one array, at most. */
const MOST_WITH_TAG = GiB;

interface Sealed {
  bucket: string;
  key: string;
  /** Of the plain bytes. */
  size: number;
  /** ARN of the only KMS key that the client may use. */
  kmsKeyId: string;
}

export class JavaClient {
  readonly #peer: RunningPeer;

  constructor(env: Readonly<Record<string, string>>) {
    this.#peer = startJava(env);
  }

  /**
   * The SHA-256 of an object's plain bytes, opened as the client's users have to: with delayed authentication, since it is
   * larger than the client's buffer, or what no array holds as a range, which the client opens without the tag.
   */
  async sha256Of({ bucket, key, size, kmsKeyId }: Sealed): Promise<string> {
    const how = size > MOST_WITH_TAG ? { range: `bytes=0-${size - 1}`, legacy: true } : { delayed: true };
    const { error, sha256 } = await this.#peer.run({
      op: 'get',
      bucket,
      key,
      file: devNull,
      format: 'v3',
      policy: POLICY_TO_WRITE.v3,
      wrapping: 'kms',
      keys: { kms: kmsKeyId, aes: '', rsaPrivate: '', rsaPublic: '' },
      context: {},
      ...how,
    });
    if (error !== undefined) throw new Error(error);
    return sha256!;
  }

  close(): void {
    this.#peer.close();
  }
}
