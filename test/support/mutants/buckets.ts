/** What a doctor must not do to a bucket, and how it is spoken to. */
import type { Mutant } from '../mutation.ts';

const DOCTOR = 'test/doctor/doctor.test.ts';

export const buckets: Mutant[] = [
  {
    breaks: 'TLS 1.2 at least, whatever Node is started with',
    file: 'src/network.ts',
    find: "const MIN_VERSION = 'TLSv1.2'",
    replace: "const MIN_VERSION = 'TLSv1'",
    test: 'test/stores/old-tls.test.ts',
  },
  {
    breaks: 'Doctor: nothing is changed that was not approved',
    file: 'src/doctor.ts',
    find: '(await approve(changes))',
    replace: '((await approve(changes)) || true)',
    test: DOCTOR,
    only: 'nobody approves',
  },
  {
    breaks: 'Doctor: a setting is written only if it still is what was shown',
    file: 'src/doctor/apply.ts',
    find: '!isDeepStrictEqual(now, before)',
    replace: 'now === undefined',
    test: DOCTOR,
    only: 'changed meanwhile',
  },
  {
    breaks: 'Doctor: what was changed is told, whatever fails afterwards',
    file: 'src/doctor.ts',
    find: 'tellsOf: (error) => !isInterrupted(error)',
    replace: 'tellsOf: isRefused',
    test: DOCTOR,
    only: 'half way',
  },
  {
    breaks: 'Doctor: what an older statement of ours said is shown before it is replaced',
    file: 'src/doctor/remedy.ts',
    find: 'removed: without(old, young)',
    replace: 'removed: []',
    test: DOCTOR,
    only: 'older statement',
  },
  {
    breaks: 'Doctor: it does not lock itself out',
    file: 'src/doctor/denials.ts',
    find: '      if (remedy !== undefined) return { found, remedy };\n',
    replace: '',
    test: DOCTOR,
    only: 'lock itself out',
  },
  {
    breaks: 'Doctor: SSE-C is not unblocked unasked',
    file: 'src/doctor/checks.ts',
    find: "[allowSseC ? 'NONE' : 'SSE-C']",
    replace: "['NONE']",
    test: DOCTOR,
    only: 'no SSE-C unasked',
  },
  {
    breaks: 'Doctor: statements of others stay',
    file: 'src/doctor/policy.ts',
    find: '[...statements, wanted]',
    replace: '[wanted]',
    test: 'test/doctor/policy.test.ts',
    only: 'says what it said',
  },
];
