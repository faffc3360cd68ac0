/**
 * Mutants: the code with one safety rule taken out, in a copy of the whole checkout. A rule whose mutant passes all
 * tests is a rule that nothing holds.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

export interface Change {
  /** What no longer holds, in the words of the rule. */
  breaks: string;
  file: string;
  /** Occurs once in the file. */
  find: string;
  replace: string;
}

export interface Mutant extends Change {
  /** The test file that must notice. */
  test: string;
  /** Of its tests only those whose names match, to save time. */
  only?: string;
}

export interface Tests {
  test: string;
  only?: string | undefined;
}

/** How a run of tests went, by full name. A file that failed before its tests counts as one that failed. */
export interface TestRun {
  passed: string[];
  failed: string[];
}

interface JsonReport {
  testResults: { name: string; status: string; assertionResults: { fullName: string; status: string }[] }[];
}

/** A run that takes longer hangs, and is ended. */
const RUN_TIMEOUT_MS = 180_000;

/** The checkout as it lies there, uncommitted files included, in a folder of its own. */
export class Checkout implements Disposable {
  readonly root = mkdtempSync(join(tmpdir(), 'sealift-mutant-'));

  constructor(source: string) {
    const list = ['ls-files', '--cached', '--others', '--exclude-standard', '--deduplicate', '-z'];
    const deleted = new Set(git(source, ['ls-files', '--deleted', '-z']));
    for (const path of git(source, list)) {
      if (deleted.has(path)) continue;
      mkdirSync(dirname(join(this.root, path)), { recursive: true });
      cpSync(join(source, path), join(this.root, path));
    }
    // Entry by entry: what tools cache under node_modules is the copy's own.
    mkdirSync(join(this.root, 'node_modules'));
    for (const name of readdirSync(join(source, 'node_modules')).filter((name) => !/^\.(?!bin)/.test(name))) {
      symlinkSync(join(source, 'node_modules', name), join(this.root, 'node_modules', name));
    }
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true, force: true });
  }

  /** Puts a mutant in. Disposing of the result takes it out. Throws where it does not apply, or would not compile. */
  mutate({ file, find, replace }: Change): Disposable {
    const path = join(this.root, file);
    const text = readFileSync(path, 'utf8');
    const count = text.split(find).length - 1;
    if (count !== 1) throw new Error(`${file} has ${count} times, not once: ${find}`);
    writeFileSync(
      path,
      text.replace(find, () => replace),
    );
    const undo = () => writeFileSync(path, text);
    try {
      this.#compile(file);
    } catch (error) {
      undo();
      throw error;
    }
    return { [Symbol.dispose]: undo };
  }

  /** Runs tests up to the first that fails. */
  async run(tests: Tests[], { bail }: { bail: boolean }): Promise<TestRun> {
    const report = join(this.root, 'report.json');
    rmSync(report, { force: true });
    const vitest = join(this.root, 'node_modules/vitest/vitest.mjs');
    const only = tests.flatMap(({ only }) => (only === undefined ? [] : ['-t', only]));
    const options = ['--config', 'test/vitest.config.ts', '--reporter=json', `--outputFile=${report}`];
    const files = tests.map(({ test }) => test);
    const args = [vitest, 'run', ...options, ...(bail ? ['--bail=1'] : []), ...only, ...files];
    const env = { ...outerEnvironment(), SEALIFT_LONG: files.every(isLong) ? '1' : '' };
    // A group of its own, so that what hangs is ended with all it has started.
    const child = spawn(process.execPath, args, { cwd: this.root, env, stdio: 'ignore', detached: true });
    const timer = setTimeout(() => process.kill(-child.pid!, 'SIGKILL'), bail ? RUN_TIMEOUT_MS : RUN_TIMEOUT_MS * 5);
    await once(child, 'exit');
    clearTimeout(timer);
    if (child.signalCode) return { passed: [], failed: [`${files}: hangs`] };
    return readReport(report);
  }

  /** What others have broken meanwhile is not the mutant's fault. */
  #compile(file: string): void {
    const relaxed = ['--noUnusedLocals', 'false', '--noUnusedParameters', 'false', '--pretty', 'false'];
    const tsc = join(this.root, 'node_modules/.bin/tsc');
    const { stdout } = spawnSync(tsc, relaxed, { cwd: this.root, encoding: 'utf8' });
    const errors = stdout.split('\n').filter((line) => line.startsWith(`${file}(`));
    if (errors.length > 0) throw new Error(`The mutant is no program: ${errors.join('; ')}`);
  }
}

export function isLong(test: string): boolean {
  return test.startsWith('test/long/');
}

function git(folder: string, args: string[]): string[] {
  const paths = execFileSync('git', args, { cwd: folder, encoding: 'utf8' }).split('\0');
  return paths.filter((path) => path !== '');
}

/** The environment without what the vitest around us says to itself. */
function outerEnvironment(): NodeJS.ProcessEnv {
  const names = Object.keys(process.env).filter(
    (name) => !/^(VITE|NODE_ENV|TEST|DEV$|PROD$|MODE$|SSR$|BASE_URL)/.test(name),
  );
  return Object.fromEntries(names.map((name) => [name, process.env[name]]));
}

function readReport(path: string): TestRun {
  const { testResults } = JSON.parse(readFileSync(path, 'utf8')) as JsonReport;
  const tests = testResults.flatMap(({ assertionResults }) => assertionResults);
  const named = (status: string) => tests.filter((one) => one.status === status).map(({ fullName }) => fullName.trim());
  const failed = named('failed');
  const stopped = testResults
    .filter(({ status }) => status === 'failed')
    .map(({ name }) => `${name}, before its tests`);
  return { passed: named('passed'), failed: failed.length > 0 ? failed : stopped };
}
