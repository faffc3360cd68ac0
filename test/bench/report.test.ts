/** The page that tells a bench's result: complete in itself, and its numbers are those of the JSON. */
import { describe, expect, test } from 'vitest';
import { latenciesOf } from '../../src/bench/figures.ts';
import { sharesOf } from '../../src/bench/limit.ts';
import { reportPage } from '../../src/bench/report.ts';
import { STAGES } from '../../src/parts/stopwatch.ts';
import { formatRate } from '../../src/units.ts';
import { cannedResult } from './canned.ts';

const result = cannedResult();
const page = reportPage(result);

/** The body cells of the table under a heading, row by row. */
function tableUnder(title: string): string[][] {
  const [, table = ''] = new RegExp(`<h2>${title}</h2><div class="table" tabindex="0">(.*?)</div>`, 's').exec(page)!;
  const [, body = ''] = table.split('<tbody>');
  return body
    .split('</tr>')
    .slice(0, -1)
    .map((row) => [...row.matchAll(/<t[hd][^>]*>(.*?)<\/t[hd]>/gs)].map(([, text]) => text!));
}

describe('the page', () => {
  test('says what limits in its headline, and which flags are best', () => {
    expect(page).toContain('<h1>Latency limits your puts.</h1>');
    expect(page).toContain('Every further part in flight still helps.');
    expect(page).toContain('Best flags, of 9 settings');
    const [, code = ''] = /<code>(.*?)<\/code>/.exec(page)!;
    expect(code.replace(/<[^>]+>/g, '')).toBe(result.best.flags);
    expect(page.match(/<li class="limits">/g)?.length).toBe(1);
  });

  test('does not call best what was compared with nothing', () => {
    const flagsOf = (compared: number, allGiven: boolean) =>
      /<p class="flags"><span>(.*?)<\/span>/.exec(
        reportPage({ ...result, best: { ...result.best, compared, allGiven } }),
      )![1];
    expect(flagsOf(1, true)).toBe('Flags, as they were given');
    expect(flagsOf(1, false)).toBe('Flags to begin with: for want of time nothing was compared');
  });

  test('needs nothing from anywhere, and runs nothing', () => {
    expect(page).not.toMatch(/https?:|\bsrc=|\bhref=|url\(|@import|<script/);
    expect(page).toContain(`content="default-src 'none'; style-src 'unsafe-inline'"`);
  });

  test('escapes what it is told', () => {
    expect(page).toContain('Canned &lt;Processor&gt; &amp; Co');
    expect(page).not.toContain('<Processor>');
  });

  test('has four charts, each with a title and a description for those who do not see it', () => {
    const charts = page.match(/<svg .*?<\/svg>/gs)!;
    expect(charts.length).toBe(4);
    for (const chart of charts) {
      const [, title, desc] = /aria-labelledby="(\S+) (\S+)"/.exec(chart)!;
      expect(chart).toMatch(new RegExp(`<title id="${title}">[^<]+</title><desc id="${desc}">[^<]+</desc>`));
      expect(chart).not.toMatch(/NaN|undefined|Infinity/);
    }
  });

  test('uses no colour that its style does not have', () => {
    const used = new Set([...page.matchAll(/var\((--[a-z-]+)\)/g)].map(([, name]) => name!));
    expect(used.size).toBeGreaterThan(10);
    for (const name of used) expect(page.split(`${name}: `).length).toBeGreaterThan(2);
  });
});

describe('its numbers are those of the result', () => {
  test('rounds', () => {
    const rows = tableUnder('Rounds');
    expect(rows.map(([, threads]) => Number(threads))).toEqual(result.rounds.map(({ threads }) => threads));
    expect(rows.map((row) => row.at(-2))).toEqual(result.rounds.map((round) => formatRate(round.bytesPerSecond)));
  });

  test('shares of stages', () => {
    const [puts, gets] = [sharesOf(result.put.stages), sharesOf(result.get.stages)];
    const expected = STAGES.map((stage) => [stage, 100 * puts[stage], 100 * gets[stage]]);
    const told = tableUnder('Where the time goes').map(([name, ...texts]) => [name, ...texts.map(Number.parseFloat)]);
    expect(told).toEqual(expected);
  });

  test('latencies and the cipher', () => {
    const told = tableUnder('Latency of a part').map(([, put]) => Number.parseFloat(put!));
    expect(told).toEqual(latenciesOf(result.put).map((seconds) => Math.round(1000 * seconds)));
    expect(tableUnder('Cipher alone').map(([, speed]) => speed)).toEqual(
      result.cipher.map(({ bytesPerSecond }) => formatRate(bytesPerSecond)),
    );
  });

  test('columns are as high as their gains', () => {
    const [, chart = ''] = /<desc id="threads-desc">(.*?)<\/svg>/s.exec(page)!;
    const heights = [...chart.matchAll(/height="([\d.]+)" rx="2" fill="var\(--put\)"/g)].map(([, text]) =>
      Number(text),
    );
    const columns = heights.filter((height) => height !== 10);
    expect(columns.length).toBe(3);
    expect(columns[1]! / columns[0]!).toBeCloseTo(160 / 120, 2);
    expect(columns[2]! / columns[0]!).toBeCloseTo(240 / 120, 2);
  });
});
