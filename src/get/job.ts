/** Which job a get into a file belongs to: its own unfinished one, or a new one. */
import { SealiftError } from '../errors.ts';
import type { GetRun, PlainRequest } from '../get.ts';
import type { Tools } from '../job.ts';
import { forgetJob, isUnfinished } from '../jobs.ts';
import { type JobRow, jobIdOf, Ledger } from '../ledger/ledger.ts';
import { formatObjectUrl, parseObjectUrl } from '../stores/object-url.ts';
import { checkTarget } from './target.ts';

/** What a job's id follows from: the object's URL as a place has it, and the file's absolute path. */
type Names = Pick<JobRow, 'source' | 'target'>;

/**
 * As `checkTarget`, before anything else is done. What stands there may be what an unfinished job of the same object has
 * made: that job looks itself.
 */
export async function checkFirst(
  {
    source,
    target,
    overwrite = false,
    fresh,
  }: Pick<PlainRequest, 'overwrite' | 'fresh'> & { source: string; target: string },
  tools: Tools,
): Promise<void> {
  try {
    await checkTarget(target, { overwrite });
  } catch (error) {
    const isTaken = SealiftError.from(error).code === 'target-exists';
    if (!isTaken || fresh) throw error;
    const names = { source: formatObjectUrl(parseObjectUrl(source)), target };
    if (!isUnfinished(tools, idOf(names))) throw error;
  }
}

/**
 * Opens the unfinished ledger of this object and target, or makes a new one; holds its lock until disposed of. Throws
 * `options-differ` where another range or version was begun, `target-exists`, and the ledger's own errors.
 */
export async function openJob({ request, place, tools }: GetRun, target: string): Promise<Ledger> {
  const names = { source: place.url, target };
  const id = idOf(names);
  if (request.fresh) await forgetJob(tools, id);
  else if (isUnfinished(tools, id)) {
    const ledger = Ledger.open(tools.stateDir, id);
    try {
      refuseOtherRange(request, ledger.job);
      await checkTarget(target, { overwrite: request.overwrite ?? false, ours: ledger.download()?.tempInode });
      return ledger;
    } catch (error) {
      ledger.close();
      throw error;
    }
  }
  const options = { fixed: { range: wantedText(request) }, memo: request.memo ?? {} };
  return Ledger.create(tools.stateDir, { command: 'get', ...names, options });
}

/** What was opened of another range would have to be thrown away: that is the user's to say. */
function refuseOtherRange(request: PlainRequest, { options }: JobRow): void {
  const begun = (options.fixed as { range: string }).range;
  const asked = wantedText(request);
  if (asked === begun) return;
  throw new SealiftError('options-differ', `The unfinished job of this target was begun ${begun}, not ${asked}`, {
    hint: 'Leave that as it was to go on with that job, or give --fresh to start again.',
  });
}

function wantedText({ range, versionId }: PlainRequest): string {
  const text = range ? `with --range ${range.first}-${range.last}` : 'without --range';
  return versionId === undefined ? text : `${text}, of version ${versionId}`;
}

function idOf(names: Names): string {
  return jobIdOf({ command: 'get', ...names });
}
