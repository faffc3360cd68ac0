/** What is not sealed: no object is made of two versions of a file, and nobody gets one by mistake. */
import type { Mutant } from '../mutation.ts';

const TEST = 'test/put/unsealed.test.ts';

export const unsealed: Mutant[] = [
  {
    breaks: 'a part that is sent again has the checksum that was promised',
    file: 'src/formats/plain/part.ts',
    find: '    if (this.#size === this.inPlace.length) return this.#crc32;\n',
    replace: '    if (this.#size === this.inPlace.length) return 0;\n',
    test: TEST,
    only: 'no object is made of two versions',
  },
  {
    breaks: 'what is left out is no wish to go on without a seal',
    file: 'src/put/job.ts',
    find: '      refuseOtherSeal(fixed, begun);\n',
    replace: '',
    test: TEST,
    only: 'needs --seal none again',
  },
  {
    breaks: 'how to seal and not to seal are not both asked for',
    file: 'src/put/plain.ts',
    find: '    refuseSeal(options);\n',
    replace: '',
    test: TEST,
    only: 'takes no --sign',
  },
  {
    breaks: 'the mark is for Sealift alone to write',
    file: 'src/put/attempt.ts',
    find: 'const OUR_METADATA = [MTIME_METADATA, ID_METADATA, SEAL_METADATA];',
    replace: 'const OUR_METADATA = [MTIME_METADATA, ID_METADATA];',
    test: TEST,
    only: 'nobody writes the mark',
  },
  {
    breaks: 'what was not sealed is released only where that is asked for',
    file: 'src/get.ts',
    find: "const object = seal === 'none' ? await",
    replace: "const object = seal === 'none' || place.url ? await",
    test: TEST,
    only: 'nothing of it is released',
  },
  {
    breaks: 'what is sealed is not handed on as it is',
    file: 'src/get/unsealed.ts',
    find: "  if (found.format === 'plain') return found;\n",
    replace: "  if (found.format === 'plain' || found.info.size) return found as UnsealedObject;\n",
    test: TEST,
    only: 'what is sealed is not taken',
  },
  {
    breaks: 'what a seal shows is not demanded of what has none',
    file: 'src/get/unsealed.ts',
    find: '  if (demanded !== undefined) {\n',
    replace: '  if (demanded === undefined) {\n',
    test: TEST,
    only: 'is what only a seal can show',
  },
  {
    breaks: 'the checksum of the whole is compared',
    file: 'src/get/unsealed.ts',
    find: '    if (crc32 === kept) return;\n',
    replace: '    if (inOrder.length > 0) return;\n',
    test: TEST,
    only: 'with other bytes than its checksum',
  },
  {
    breaks: 'what ends by Ctrl-C is not completed',
    file: 'src/put/upload-pipe.ts',
    find: '  await checkNotStopped(run);\n',
    replace: '',
    test: TEST,
    only: 'as when Ctrl-C reaches its producer too',
  },
  {
    breaks: 'a source that is silent is let go where a part fails',
    file: 'src/put/upload-pipe.ts',
    find: '      this.#reader.stop(error);\n',
    replace: '',
    test: TEST,
    only: 'is not waited for',
  },
];
