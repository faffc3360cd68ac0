/**
 * A bench's result as a page: what limits, in one sentence; four charts; all the numbers. It is complete in itself, has no
 * script, and its own rules keep it from the network.
 */

import { STAGES, type Stage } from '../parts/stopwatch.ts';
import { formatRate, formatSize, GiB, MiB } from '../units.ts';
import type { BenchResult } from './api.ts';
import { type ChartText, columnChart, lineChart, pointChart, type Series, shareChart } from './charts.ts';
import { gainsOf, latenciesOf, PERCENTILES, ratesOf } from './figures.ts';
import { escaped, table } from './html.ts';
import { type Bottleneck, sharesOf } from './limit.ts';
import { STYLE } from './style.ts';

const PUT: Series = { name: 'put', color: 'put' };
const GET: Series = { name: 'get', color: 'get' };
const CIPHER: Series = { name: 'cipher alone', color: 'cipher' };

export function reportPage(result: BenchResult): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Sealift bench: ${escaped(result.limit.sentence)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
${header(result)}
${tiles(result)}
<section class="charts" aria-label="Charts">
${[overTime(result), latency(result), stages(result), threads(result)].join('\n')}
</section>
${tables(result)}
</main>
</body>
</html>
`;
}

function header({ limit, best, at, target, machine }: BenchResult): string {
  const where = target.isSandbox ? 'a sandbox on this machine' : target.prefix;
  const cores = `${machine.cores} ${machine.cores === 1 ? 'core' : 'cores'}`;
  const facts = [at.slice(0, 16).replace('T', ' ').concat(' UTC'), where, `${machine.processor}, ${cores}`];
  const [what, why] = split(limit.sentence);
  return `<header>
<p class="eyebrow">Sealift bench</p>
<h1>${escaped(what)}</h1>
<p class="why">${escaped(why)}</p>
<p class="facts">${facts.map(escaped).join(' · ')}</p>
<p class="flags"><span>${flagsTitle(best)}</span> <code>${best.flags.replace(/--\S+ \S+/g, (flag) => `<span>${escaped(flag)}</span>`)}</code></p>
</header>`;
}

function flagsTitle({ compared, allGiven }: BenchResult['best']): string {
  if (allGiven) return 'Flags, as they were given';
  return compared < 2
    ? 'Flags to begin with: for want of time nothing was compared'
    : `Best flags, of ${compared} settings`;
}

/** `The disk limits your puts: it reads …` has its headline before the colon. */
function split(sentence: string): [what: string, why: string] {
  const at = sentence.indexOf(': ');
  const why = sentence.slice(at + 2);
  return [`${sentence.slice(0, at)}.`, why[0]!.toUpperCase() + why.slice(1)];
}

/** Which tile is marked, so that what limits is seen at once. Of KMS there is none. */
const TILE_OF: Record<Bottleneck, string> = {
  bwlimit: 'put',
  disk: 'disk',
  cpu: 'processor',
  network: 'put',
  latency: 'round trip',
  ledger: 'disk',
  kms: '',
};

function tiles(result: BenchResult): string {
  const { put, get, disk, cipher, target, limit } = result;
  const most = cipher.at(-1)!;
  const facts: [name: string, value: string, note: string][] = [
    ['put', formatRate(put.bytesPerSecond), 'sealed and sent'],
    ['get', formatRate(get.bytesPerSecond), 'fetched and opened'],
    ['processor', `${Math.round(100 * put.busy)} % busy`, 'during that put'],
    [
      'cipher',
      formatRate(most.bytesPerSecond),
      `alone, ${most.threads === 1 ? 'one thread' : `${most.threads} threads`}`,
    ],
    ['disk', formatRate(disk.readBytesPerSecond), `read; ${formatRate(disk.writeBytesPerSecond)} written`],
    ['round trip', milliseconds(target.roundTripSeconds), `a data key ${milliseconds(target.dataKeySeconds)}`],
  ];
  const items = facts.map(([name, value, note]) => {
    const limits = TILE_OF[limit.by] === name;
    const mark = limits ? '<span class="mark">limits</span>' : '';
    return `<li${limits ? ' class="limits"' : ''}><span class="name">${name}${mark}</span><b>${value}</b><span class="note">${note}</span></li>`;
  });
  return `<ul class="tiles">${items.join('')}</ul>`;
}

function figure(text: ChartText, chart: string): string {
  return `<figure><figcaption><h2>${escaped(text.title)}</h2><p>${escaped(text.description)}</p></figcaption>${chart}</figure>`;
}

function overTime({ put, get }: BenchResult): string {
  const profiles = [put, get].map((profile) => ratesOf(profile));
  const unit = rateUnit(profiles.flat().map(({ y }) => y));
  const [puts, gets] = profiles.map((points) => points.map(({ x, y }) => ({ x, y: y / unit.size })));
  const text = {
    id: 'time',
    title: 'Throughput over time',
    description: `A put and a get of ${formatSize(put.bytes)} each: ${formatRate(put.bytesPerSecond)} and ${formatRate(get.bytesPerSecond)} on the whole.`,
    unit: unit.name,
  };
  const series = [
    { ...PUT, points: puts! },
    { ...GET, points: gets! },
  ];
  return figure(text, lineChart(text, series, { label: 'seconds' }));
}

function latency({ put, get }: BenchResult): string {
  const [puts, gets] = [latenciesOf(put), latenciesOf(get)];
  const inMilliseconds = (seconds: number[]) => seconds.map((value, x) => ({ x, y: 1000 * value }));
  const text = {
    id: 'latency',
    title: 'Latency of a part',
    description: `How long a part of ${formatSize(put.partSize)} is with the store. Half of them take no more than ${milliseconds(puts[0]!)} up and ${milliseconds(gets[0]!)} down.`,
    unit: 'ms',
  };
  const series = [
    { ...PUT, points: inMilliseconds(puts) },
    { ...GET, points: inMilliseconds(gets) },
  ];
  return figure(
    text,
    pointChart(text, series, { label: 'percentile of parts', names: PERCENTILES.map(percentileName) }),
  );
}

function percentileName(percent: number): string {
  return percent === 100 ? 'longest' : String(percent);
}

function stages({ put, get }: BenchResult): string {
  const rows = [put, get].map(({ command, stages }) => {
    const shares = sharesOf(stages);
    return { name: command, shares: STAGES.map((stage) => shares[stage]) };
  });
  const longest = (name: 'put' | 'get') => {
    const shares = sharesOf({ put, get }[name].stages);
    return STAGES.reduce((one, other) => (shares[other] > shares[one] ? other : one));
  };
  const text = {
    id: 'stages',
    title: 'Where the time goes',
    description: `What parts wait for. Of a put it is ${STAGE_NAMES[longest('put')]} most of the time, of a get ${STAGE_NAMES[longest('get')]}.`,
  };
  const parts = STAGES.map((stage) => ({ name: stage, color: `stage-${stage}` }));
  return figure(text, shareChart(text, parts, rows));
}

const STAGE_NAMES: Record<Stage, string> = {
  disk: 'the disk',
  cipher: 'the cipher',
  checksum: 'the checksum',
  ledger: 'the ledger',
  network: 'the network',
  kms: 'KMS',
};

function threads(result: BenchResult): string {
  const gains = gainsOf(result);
  const text = {
    id: 'threads',
    title: 'Gain by threads',
    description: 'How often as fast as one thread. The cipher alone shows what this processor has to give.',
    unit: '×',
  };
  const series = [
    { ...CIPHER, values: gains.map(({ cipher }) => cipher) },
    { ...PUT, values: gains.map(({ put }) => put) },
    { ...GET, values: gains.map(({ get }) => get) },
  ];
  const groups = gains.map(({ threads }) => String(threads));
  const format = (value: number) => value.toFixed(1);
  return figure(text, columnChart(text, series, { label: 'threads', groups, format }));
}

function tables(result: BenchResult): string {
  const { rounds, put, get, cipher } = result;
  const shares = { put: sharesOf(put.stages), get: sharesOf(get.stages) };
  const [puts, gets] = [latenciesOf(put), latenciesOf(get)];
  const sections = [
    [
      'Rounds',
      table(
        ['round', 'threads', 'parts in flight', 'part size', 'speed', 'processors busy'],
        rounds.map((round) => [
          `${round.command}, ${TRIAL_NAMES[round.trial]}`,
          String(round.threads),
          String(round.lanes),
          formatSize(round.partSize),
          formatRate(round.bytesPerSecond),
          percent(round.busy),
        ]),
      ),
    ],
    [
      'Where the time goes',
      table(
        ['stage', 'put', 'get'],
        STAGES.map((stage) => [stage, percent(shares.put[stage]), percent(shares.get[stage])]),
      ),
    ],
    [
      'Latency of a part',
      table(
        ['percentile', 'put', 'get'],
        PERCENTILES.map((one, index) => [percentileName(one), milliseconds(puts[index]!), milliseconds(gets[index]!)]),
      ),
    ],
    [
      'Cipher alone',
      table(
        ['threads', 'speed'],
        cipher.map(({ threads, bytesPerSecond }) => [String(threads), formatRate(bytesPerSecond)]),
      ),
    ],
  ];
  const all = sections.map(([title, text]) => `<section><h2>${title}</h2>${text}</section>`);
  return `<div class="numbers">${all.join('\n')}</div>`;
}

const TRIAL_NAMES: Record<BenchResult['rounds'][number]['trial'], string> = {
  first: 'to begin with',
  threads: 'by threads',
  lanes: 'by parts in flight',
  partSize: 'by part size',
  object: 'for the gets',
  last: 'the best, longer',
};

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

function milliseconds(seconds: number): string {
  const ms = 1000 * seconds;
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

function rateUnit(values: readonly number[]): { name: string; size: number } {
  return Math.max(...values) >= 2 * GiB ? { name: 'GiB/s', size: GiB } : { name: 'MiB/s', size: MiB };
}
