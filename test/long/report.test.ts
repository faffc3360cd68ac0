/** The page of a bench, as Chromium shows it: on a screen and on a phone, by day and by night, and on paper. */

import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { reportPage } from '../../src/bench/report.ts';
import { cannedResult } from '../bench/canned.ts';

/** What is used of a browser's world: the project's own has none. */
interface Box {
  textContent: string | null;
  scrollWidth: number;
  clientWidth: number;
  getBoundingClientRect(): { left: number; right: number; top: number; bottom: number; height: number };
  querySelector(selector: string): Box | null;
  querySelectorAll(selector: string): Iterable<Box>;
}
declare const document: Pick<Box, 'querySelectorAll'> & { documentElement: Box; body: Box };
declare function getComputedStyle(box: Box): { color: string; backgroundColor: string };

const paths = (process.env.PATH ?? '').split(delimiter);
const executablePath = ['chromium', 'chromium-browser', 'google-chrome']
  .flatMap((name) => paths.map((path) => join(path, name)))
  .find((path) => existsSync(path));
if (executablePath === undefined) console.warn('There is no Chromium: skipped');

const KEEP = process.env.SEALIFT_TEST_SCREENSHOTS;

describe.skipIf(executablePath === undefined)('the page', () => {
  let folder: string;
  let browser: Browser;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sealift-test-'));
    await writeFile(join(folder, 'report.html'), reportPage(cannedResult()));
    // Who runs as root, as containers do, has no sandbox of Chromium's.
    const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
    browser = await chromium.launch({ executablePath: executablePath!, args });
  });

  afterAll(async () => {
    await browser.close();
    await rm(folder, { recursive: true });
  });

  /** Shows the page, and resolves to it with all that it complained about and asked for. */
  async function show(width: number, colorScheme: 'light' | 'dark') {
    const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme });
    const told: string[] = [];
    page.on('console', (message) => told.push(message.text()));
    page.on('pageerror', (error) => told.push(String(error)));
    page.on('request', (request) => told.push(request.url()));
    const url = pathToFileURL(join(folder, 'report.html')).href;
    await page.goto(url);
    return { page, told: told.filter((text) => text !== url) };
  }

  const screens = [1280, 400].flatMap((width) =>
    (['light', 'dark'] as const).map((scheme) => [width, scheme] as const),
  );

  test.each(screens)('%i wide, %s: asks for nothing, and no text is cut or covered', async (width, scheme) => {
    const { page, told } = await show(width, scheme);
    expect(told).toEqual([]);
    expect(await troubles(page)).toEqual([]);
    const image = await page.screenshot({ fullPage: true });
    expect(image.length).toBeGreaterThan(30_000);
    if (KEEP !== undefined) await writeFile(join(KEEP, `report-${width}-${scheme}.png`), image);
    await page.close();
  });

  test('is light by day and dark by night, and what stands on it can be read', async () => {
    for (const scheme of ['light', 'dark'] as const) {
      const { page } = await show(1280, scheme);
      const [ground, ink] = await groundAndInk(page);
      expect(lightness(ground) > 128).toBe(scheme === 'light');
      expect(Math.abs(lightness(ground) - lightness(ink))).toBeGreaterThan(150);
      await page.close();
    }
  });

  test('on paper it is light, and no text is cut', async () => {
    const { page } = await show(1280, 'dark');
    await page.emulateMedia({ media: 'print' });
    await page.setViewportSize({ width: 720, height: 1000 });
    expect(await troubles(page)).toEqual([]);
    const [ground, ink] = await groundAndInk(page);
    expect([lightness(ground) > 250, lightness(ink) < 100]).toEqual([true, true]);
    if (KEEP !== undefined) await page.screenshot({ path: join(KEEP, 'report-print.png'), fullPage: true });
    await page.close();
  });
});

function groundAndInk(page: Page): Promise<[string, string]> {
  return page.evaluate(() => {
    const { backgroundColor, color } = getComputedStyle(document.body);
    return [backgroundColor, color];
  });
}

function lightness(color: string): number {
  const [red = 0, green = 0, blue = 0] = (color.match(/\d+/g) ?? []).map(Number);
  return 0.3 * red + 0.6 * green + 0.1 * blue;
}

/** Texts of charts that leave their chart or lie on another, and boxes that have no room for what is in them. */
function troubles(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const found: string[] = [];
    const root = document.documentElement;
    if (root.scrollWidth > root.clientWidth) found.push(`the page is ${root.scrollWidth} wide`);
    for (const box of document.querySelectorAll('.tiles li, h1, .why, .facts, .flags, figcaption')) {
      if (box.scrollWidth > box.clientWidth + 1) found.push(`no room: ${box.textContent}`);
    }
    for (const chart of document.querySelectorAll('svg')) {
      const frame = chart.getBoundingClientRect();
      const texts = [...chart.querySelectorAll('text')].map((text) => ({
        name: `${text.textContent} in ${chart.querySelector('title')?.textContent}`,
        rect: text.getBoundingClientRect(),
      }));
      if (texts.length < 4) found.push('a chart without texts');
      for (const [index, { name, rect }] of texts.entries()) {
        const isInside =
          rect.left >= frame.left - 0.5 &&
          rect.right <= frame.right + 0.5 &&
          rect.top >= frame.top - 0.5 &&
          rect.bottom <= frame.bottom + 0.5;
        if (!isInside) found.push(`cut: ${name}`);
        for (const other of texts.slice(index + 1)) {
          const across = Math.min(rect.right, other.rect.right) - Math.max(rect.left, other.rect.left);
          const down = Math.min(rect.bottom, other.rect.bottom) - Math.max(rect.top, other.rect.top);
          // Boxes of lines are taller than their letters.
          if (across > 0 && down > 0.35 * Math.min(rect.height, other.rect.height))
            found.push(`${name} on ${other.name}`);
        }
      }
    }
    return found;
  });
}
