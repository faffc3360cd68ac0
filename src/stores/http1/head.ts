/**
 * The heads of requests and answers, as HTTP/1.1 has them (RFC 9112), and what they say of where an answer ends. Whatever
 * two readers might read in two ways is refused: a wrong answer is worse than none, and one that is refused is asked for again.
 */
import { http } from '../../network.ts';

/** By names in lower case. Values of a name that came several times are joined by commas. */
export type Headers = Readonly<Record<string, string | undefined>>;

export interface RequestHead {
  method: string;
  /** Path and query, encoded. */
  target: string;
  headers: Readonly<Record<string, string>>;
}

export interface AnswerHead {
  status: number;
  headers: Headers;
  /** The server means to take further requests over this connection. */
  isKept: boolean;
}

/** Where an answer's body ends: behind so many bytes, behind the last chunk, or where the connection does. */
export type Framing = { size: number } | 'chunked' | 'until-close';

/** As it goes over the wire. Throws what Node throws of headers that would break out of their line. */
export function formatHead({ method, target, headers }: RequestHead): string {
  if (!/^[\x21-\x7e]+$/.test(target)) throw new TypeError('target: expected a path that is encoded');
  let text = `${method} ${target} HTTP/1.1\r\n`;
  for (const [name, value] of Object.entries(headers)) {
    http.validateHeaderName(name);
    http.validateHeaderValue(name, value);
    text += `${name}: ${value}\r\n`;
  }
  return `${text}\r\n`;
}

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-5]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/;
/** No space before the colon, no line that goes on in the next one, no control character. */
const FIELD_LINE = /^([\w!#$%&'*+.^`|~-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/;

/** A head up to its empty line, without it. Throws where it is not as it should be. */
export function parseHead(text: string): AnswerHead {
  const [first = '', ...lines] = text.split('\r\n');
  const status = STATUS_LINE.exec(first);
  if (!status) throw badAnswer('no status line');
  const headers: Record<string, string> = Object.create(null);
  for (const line of lines) {
    const field = FIELD_LINE.exec(line);
    if (!field) throw badAnswer('no header in a line of its head');
    const name = field[1]!.toLowerCase();
    const value = field[2]!.replace(/[ \t]+$/, '');
    const before = headers[name];
    headers[name] = before === undefined ? value : `${before}, ${value}`;
  }
  const isKept = status[1] === '1' && !/(^|,)\s*close\s*(,|$)/i.test(headers.connection ?? '');
  return { status: Number(status[2]), headers, isKept };
}

/** Throws where the head says it in two ways, or in one that nobody knows. */
export function framingOf({ status, headers }: AnswerHead): Framing {
  const { 'content-length': length, 'transfer-encoding': coding } = headers;
  if (coding !== undefined && length !== undefined) throw badAnswer('two sizes of one body');
  if (coding !== undefined && coding.toLowerCase() !== 'chunked') throw badAnswer('an unknown transfer coding');
  if (length !== undefined && !/^\d{1,15}$/.test(length)) throw badAnswer('a size that is no number');
  if (status === 204 || status === 304) return { size: 0 };
  if (coding !== undefined) return 'chunked';
  return length === undefined ? 'until-close' : { size: Number(length) };
}

/** The size that the line before a chunk tells. What may stand behind it means nothing to us. */
export function parseChunkSize(line: string): number {
  const size = /^([\da-f]{1,8})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?$/i.exec(line);
  if (!size) throw badAnswer('no size before a chunk');
  return Number.parseInt(size[1]!, 16);
}

/** A code that is the network's, and the mark by which the loop of retries asks again. */
export function badAnswer(what: string): Error {
  return Object.assign(new Error(`The answer is not HTTP/1.1 as it should be: ${what}`), {
    code: 'EPROTO',
    $retryable: {},
  });
}
