/** What a client can be asked to write. */
import type { Format, Peer, Wrapping } from './peers.ts';

export const SHAPES = ['single', 'multipart', 'instruction file'] as const;

export interface Shape {
  format: Format;
  wrapping: Wrapping;
  shape: (typeof SHAPES)[number];
  size: number;
}

/** The official clients write a format only under the policy that goes with it. */
export const POLICY_TO_WRITE: Record<Format, string> = {
  v2: 'FORBID_ENCRYPT_ALLOW_DECRYPT',
  v3: 'REQUIRE_ENCRYPT_REQUIRE_DECRYPT',
};

/** Under it they read both. */
export const POLICY_TO_READ = 'REQUIRE_ENCRYPT_ALLOW_DECRYPT';

/** All of `shapes` and `sizes` that a client can write. */
export function shapesOf(peer: Peer, shapes: readonly Shape['shape'][], sizes: readonly number[]): Shape[] {
  return peer.writes.flatMap((format) =>
    peer.wrappings.flatMap((wrapping) =>
      shapes
        .filter((shape) => shape !== 'multipart' || peer.multipart)
        .filter((shape) => shape !== 'instruction file' || peer.instructionFiles)
        .flatMap((shape) => sizes.map((size) => ({ format, wrapping, shape, size }))),
    ),
  );
}
