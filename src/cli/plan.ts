/** `sealift plan SOURCE DEST`: what a put or a migration will need, before anything of it happens. */
import { statSync } from 'node:fs';
import type { Command } from 'commander';
import type { Plan } from '../index.ts';
import { KMS_QUOTA } from '../limits/quotas.ts';
import { encryptionText } from '../stores/encryption.ts';
import { formatDuration, formatRate, formatSize } from '../units.ts';
import { type SseFlags, sseOptions } from './encryption.ts';
import { byteRate, path } from './flag-values.ts';
import { openEngine, sealUseOf } from './keys.ts';
import {
  type EngineFlags,
  flag,
  flagsOf,
  keyOptions,
  type ObjectFlags,
  outputOptions,
  sealOption,
  sealOptions,
  stateOptions,
  storeOptions,
  workOptions,
} from './options.ts';
import { columns, counted, type Output } from './output.ts';
import { objectFor } from './paths.ts';
import { sealOptions as sealRequest } from './put.ts';
import { stopOnSignals } from './signals.ts';

type PlanFlags = EngineFlags & ObjectFlags & SseFlags & { bandwidth?: number | undefined; prices?: string | undefined };

const EXAMPLES = `
Examples:
  $ sealift plan db.tar s3://backups/2026/db.tar --kms-key alias/backups
  $ sealift plan /srv/photos s3://backups/photos/ --kms-key alias/backups --storage-class GLACIER_IR --bandwidth 100MB/s
  $ sealift plan s3://photos/2026/ s3://backups/photos/ --kms-key alias/backups --sse kms --bucket-key
  $ sealift plan db.tar s3://backups/db.tar --kms-key alias/backups --json | jq .time.seconds

Nothing is sealed or sent. It reads some of SOURCE, or lists it where it is a bucket's and reads none of it; asks S3 for HEAD of
DEST and the bucket's default encryption, Service Quotas for the KMS quota; and measures this machine for two seconds. Of one file or
object it is the plan of a put, of a directory or a prefix that of a migrate. Objects, parts, requests and KMS calls are exact where
nothing fails and DEST is empty, and of a bucket's objects where these are plain; the time is an estimate; the cost is of
list prices, or of --prices.`;

export function addPlan(program: Command, output: Output): void {
  const command = program
    .command('plan')
    .summary('what a put or a migrate will need: parts, requests, KMS calls, time, cost')
    .description(
      'Tells what a put of a file or an object, or a migrate of a directory or a prefix, will need. Touches nothing.',
    )
    .argument('<source>', 'a file, a directory, s3://bucket/key or s3://bucket/prefix')
    .argument('<dest>', 's3://bucket/key, s3://bucket/prefix/ or file:///path')
    .addHelpText('after', EXAMPLES)
    .optionsGroup('Plan:')
    .addOption(flag('--bandwidth <rate>', 'bytes a second of the line, for example 100MB/s', byteRate))
    .addOption(flag('--prices <file>', 'a table of prices instead of the one that comes along', path));
  const groups = [keyOptions, sealOptions, sseOptions, workOptions, storeOptions, stateOptions, outputOptions];
  for (const add of groups) add(command);
  sealOption(command, 'as of a put that sends the bytes as they are, without a key');
  command.action(async (source: string, dest: string) => {
    const flags = flagsOf<PlanFlags>(command);
    const { readPrices } = await import('../index.ts');
    const prices = flags.prices === undefined ? undefined : await readPrices(flags.prices);
    const isMany = source.startsWith('s3://') || isDirectory(source);
    const target = isMany ? dest : objectFor(source, dest);
    await using engine = await openEngine(flags, sealUseOf(flags));
    const signal = stopOnSignals(output);
    const { bandwidth } = flags;
    const plan = await engine.plan({ ...sealRequest(flags), source, target, bandwidth, prices, signal });
    output.json({ type: 'result', command: 'plan', ...plan });
    output.print(planText(plan));
  });
}

function isDirectory(source: string): boolean {
  return statSync(source, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function planText(plan: Plan): string {
  const { objects, parts, plainBytes, sealedBytes, requests } = plan;
  return columns([
    ['objects', objects === 1 ? '1' : `${objects}, ${formatSize(plan.largest.plainBytes)} the largest`],
    [
      'plain bytes',
      `${plainBytes} (${formatSize(plainBytes)})${sealedBytes > plainBytes ? `, sealed some ${formatSize(sealedBytes)}` : ''}`,
    ],
    ['parts', String(parts)],
    ['part size', partSizeText(plan)],
    ['memory', memoryText(plan)],
    ...(requests ? [['requests', requestsText(requests)] as const] : []),
    ...readingRows(plan),
    ...kmsRows(plan),
    ...atRestRows(plan),
    ['time', timeText(plan)],
    ...costRows(plan),
  ]);
}

function partSizeText({ largest }: Plan): string {
  const { partSize, parts, isWhole } = largest;
  if (isWhole) return 'every object goes up whole, in one request';
  const why = parts > 9_000 ? `what ${parts} parts need, of 10,000` : 'so that many go up at once';
  return `${formatSize(partSize)} of the largest object, in ${counted(parts, 'part')}: ${why}`;
}

function memoryText({ maxMemory, largest: { isWhole, crew } }: Plan): string {
  const most = `${formatSize(maxMemory)} at most`;
  if (!crew) return `${most}: one object at a time, on one thread`;
  const { threadCount, lanes } = crew.plan;
  if (isWhole) return `${most}: ${counted(threadCount, 'thread')}, ${lanes.start} to ${lanes.most} batches in flight`;
  const held = crew.held ? 'held' : 'read twice, not held';
  return `${most}: ${counted(threadCount, 'thread')}, ${lanes.start} to ${lanes.most} parts in flight, ${held}`;
}

function requestsText(requests: NonNullable<Plan['requests']>): string {
  const all = Object.values(requests).reduce((sum, count) => sum + count, 0);
  return `${all} to S3: ${namesOf(requests)}`;
}

function namesOf(requests: Readonly<Record<string, number>>): string {
  const named = Object.entries(requests).filter(([, count]) => count > 0);
  return named.map(([name, count]) => `${count} ${name}`).join(', ');
}

function readingRows({ reading }: Plan): (readonly [string, string])[] {
  if (!reading) return [];
  return [['reading', `${formatSize(reading.bytes)} by ${namesOf(reading.requests)}`]];
}

function kmsRows({ kms }: Plan): (readonly [string, string])[] {
  if (!kms) return [];
  const { calls, callsWithReuse, callsWithoutReuse, ratePerSecond, quota } = kms;
  const percent = (100 * ratePerSecond) / quota.perSecond;
  const advice = percent > 100 ? ', so KMS will throttle: give --kms-share auto' : '';
  const more = `aws service-quotas request-service-quota-increase --region ${quota.region} --service-code ${KMS_QUOTA.ServiceCode} --quota-code ${KMS_QUOTA.QuotaCode} --desired-value ${2 * quota.perSecond}`;
  return [
    ['KMS calls', `${calls} (${callsWithReuse} with data keys reused, ${callsWithoutReuse} without)`],
    ['KMS rate', `${ratePerSecond} a second at most: ${percent.toFixed(1)} % of the quota${advice}`],
    ['KMS quota', `${quota.perSecond} a second in ${quota.region}, ${quotaSource(quota)}`],
    ['for more', more],
  ];
}

function atRestRows({ atRest, target }: Plan): (readonly [string, string])[] {
  if (!atRest) return [];
  const { encryption, by, unknown, kmsCalls } = atRest;
  const bucket = /^s3:\/\/[^/]*/.exec(target)?.[0];
  const doctor = by === 'bucket' ? `, \`sealift doctor ${bucket} --fix\` for all that come` : '';
  const advice = `with --bucket-key 1 call does for most of these objects${doctor}`;
  const calls = `${counted(kmsCalls, 'call')} of KMS by S3 itself, out of the same quota`;
  if (!encryption) {
    return [
      ['at rest', `as the bucket has it, which is not known: ${unknown}`],
      ['', `with SSE-KMS and no bucket key: ${calls}; ${advice}`],
    ];
  }
  const { algorithm, bucketKey } = encryption;
  const whose =
    by === 'bucket' ? ", the bucket's default" : unknown ? `, as asked; the bucket's default: ${unknown}` : '';
  const text = encryptionText(encryption) + whose;
  if (kmsCalls === 0) return [['at rest', text]];
  const why = algorithm === 'aws:kms' ? `, for ${advice}` : ', but DSSE-KMS has no bucket key';
  return [
    ['at rest', text],
    ['', bucketKey ? `${calls}, now and then, for the bucket's key` : `${calls}: not advisable${why}`],
  ];
}

function quotaSource({ from, asOf, reason }: NonNullable<Plan['kms']>['quota']): string {
  const why = reason === undefined ? '' : ` (${reason})`;
  if (from === 'account') return "this account's, as Service Quotas say";
  if (from === 'default') return `the Region's default, as Service Quotas say${why}`;
  return `by Sealift's table of ${asOf}${why}`;
}

const LIMITS: Record<Plan['time']['limitedBy'], string> = {
  cpu: 'the CPU of this machine',
  disk: 'reading the source',
  bandwidth: 'the bandwidth',
  latency: 'the time from a request to its answer',
  objects: 'what each object takes by itself: the ledger on this disk, requests one after the other',
  kms: 'the rate of KMS calls',
  's3-rate': "S3's rate for one prefix: 3,500 writes or 5,500 reads a second",
};

function timeText({ time, plainBytes }: Plan): string {
  const { seconds, limitedBy } = time;
  const length = seconds < 10 ? `${seconds.toFixed(1)} s` : formatDuration(seconds);
  return `some ${length}, ${formatRate(plainBytes / seconds)}; what limits it is ${LIMITS[limitedBy]}`;
}

function costRows({ cost }: Plan): (readonly [string, string])[] {
  if (!cost) return [];
  const { requests, kms, egress, storagePerMonth, storageClass, region, asOf } = cost;
  const out = egress === undefined ? '' : `, ${dollars(egress)} for what leaves the bucket`;
  const once = `${dollars(requests)} for requests, ${dollars(kms)} for KMS${out}`;
  return [
    ['cost', `${once}; ${dollars(storagePerMonth)} a month in ${storageClass}`],
    ['prices', `of ${region}, ${asOf}`],
  ];
}

/** Cents where there are some, else what there is. */
function dollars(amount: number): string {
  return `$${amount === 0 || amount >= 0.01 ? amount.toFixed(2) : amount.toPrecision(2)}`;
}
