/** Servers that are not S3: each keeps the store contract but for the guards that servers.json says it lacks. */
import { describe } from 'vitest';
import type { Guard } from '../stores/contract.ts';
import servers from '../stores/servers.json' with { type: 'json' };
import { MOTO_VERSION, noMoto, startMoto } from '../support/moto.ts';
import { noRadosgw, RADOSGW_VERSION, startRadosgw } from '../support/radosgw.ts';
import { serverStory } from '../support/server-story.ts';

const lacking = servers.servers as Record<string, Guard[]>;

describe.skipIf(noMoto)(`skipped without moto ${MOTO_VERSION} (pip install -r .ci/requirements.txt)`, () => {
  const name = `moto ${MOTO_VERSION}`;
  serverStory(name, startMoto, lacking[name]!);
});

describe.skipIf(noRadosgw)(
  `skipped without Ceph ${RADOSGW_VERSION} (apt-get install radosgw ceph-mon ceph-osd)`,
  () => {
    const name = `Ceph radosgw ${RADOSGW_VERSION}`;
    serverStory(name, startRadosgw, lacking[name]!);
  },
);
