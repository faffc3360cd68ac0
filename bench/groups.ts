/** All that can be measured, in the order in which it is. A group costs nothing before one of its cases is run. */
import type { Group, Setting } from './harness/case.ts';
import { microGroup } from './micro.ts';
import { pipelineGroup } from './pipeline.ts';
import { getGroup } from './process/get.ts';
import { growthGroup } from './process/growth.ts';
import { manyGroup } from './process/many.ts';
import { memoryGroup } from './process/memory.ts';
import { oldGroup } from './process/old.ts';
import { putGroup } from './process/put.ts';
import { startGroup } from './process/start.ts';

export const GROUPS: readonly ((setting: Setting) => Group)[] = [
  microGroup,
  pipelineGroup,
  putGroup,
  getGroup,
  manyGroup,
  startGroup,
  growthGroup,
  memoryGroup,
  oldGroup,
];

/** Whether any case has a name that matches. */
export function isNamed(pattern: RegExp): boolean {
  const setting: Setting = { size: 0, objectCount: 0, folder: '', peers: '' };
  const groups = GROUPS.map((groupOf) => groupOf(setting));
  return groups.some((group) => group.cases.some(({ name }) => pattern.test(`${group.name}/${name}`)));
}
