/**
 * What a process asked the kernel for, as strace saw it: writes to files and sockets with their first bytes, and syncs.
 * From it follow two things no program can claim of itself: in which order it synced and sent, and which bytes of a
 * file were on the disk at any moment.
 */
import { readFileSync } from 'node:fs';

export const SYSCALLS = 'pwrite64,pwritev,write,writev,sendto,sendmsg,fsync,fdatasync,ftruncate,unlink,unlinkat';

/** Bytes of a write that are recorded: a page of the database and its frame header. */
const RECORDED_SIZE = 4200;

/** Flags that make strace write what `readTrace` reads. */
export function straceCommand(traceFile: string): string[] {
  const recorded = String(RECORDED_SIZE);
  return [
    'strace',
    '-f',
    '-qq',
    '-y',
    '-xx',
    '-s',
    recorded,
    '-e',
    `trace=${SYSCALLS}`,
    '-e',
    'signal=none',
    '-o',
    traceFile,
  ];
}

export interface TracedCall {
  name: string;
  /** Path of the file, or `socket:[…]` and the like. */
  path: string;
  data: Buffer;
  offset: number;
  /** Positions in the trace where the call began and where it returned. */
  begun: number;
  returned: number;
}

/** Calls in the order they began. One that never returned has `returned` infinite. */
export function readTrace(traceFile: string): TracedCall[] {
  const calls: TracedCall[] = [];
  const open = new Map<string, TracedCall>();
  for (const [position, line] of readFileSync(traceFile, 'latin1').split('\n').entries()) {
    const resumed = /^(\d+) +<\.\.\. (\w+) resumed>/.exec(line);
    if (resumed) {
      const call = open.get(resumed[1]!);
      if (call) call.returned = position;
      open.delete(resumed[1]!);
      continue;
    }
    const begun = /^(\d+) +(\w+)\((?:\d+<([^>]*)>)?(.*)$/.exec(line);
    if (!begun) continue;
    const [, pid, name, path = '', rest = ''] = begun;
    const call: TracedCall = {
      name: name!,
      path: unhex(path).toString(),
      data: Buffer.concat([...rest.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)].map(([, text]) => unhex(text!))),
      offset: Number(/, (\d+)\) += \d+$/.exec(line)?.[1] ?? /, (\d+) <unfinished/.exec(line)?.[1] ?? 0),
      begun: position,
      returned: position,
    };
    if (line.includes('<unfinished ...>')) {
      call.returned = Number.POSITIVE_INFINITY;
      open.set(pid!, call);
    }
    calls.push(call);
  }
  return calls;
}

/** The bytes of `path` that a sync had put on the disk by the end of the trace; undefined where nothing ever was. */
export function syncedBytes(calls: TracedCall[], path: string): Buffer | undefined {
  let synced: Buffer | undefined;
  let current = Buffer.alloc(0);
  for (const call of calls) {
    if (call.path !== path) continue;
    if (call.name === 'pwrite64') {
      const grown = Buffer.alloc(Math.max(current.length, call.offset + call.data.length));
      current.copy(grown);
      call.data.copy(grown, call.offset);
      current = grown;
    } else if (call.name === 'ftruncate') {
      current = current.subarray(0, 0);
    } else if (/sync$/.test(call.name) && call.returned !== Number.POSITIVE_INFINITY) {
      synced = Buffer.from(current);
    }
  }
  return synced;
}

function unhex(text: string): Buffer {
  return text.startsWith('\\x') ? Buffer.from(text.replaceAll('\\x', ''), 'hex') : Buffer.from(text);
}
