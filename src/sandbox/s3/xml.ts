/** XML as S3 speaks it: bodies read with fast-xml-parser into plain trees, answers written from plain trees. */
import { XMLParser, XMLValidator } from 'fast-xml-parser';
import { S3Error } from './errors.ts';

export type XmlValue = string | number | boolean | undefined | XmlTree | readonly XmlValue[];
export interface XmlTree {
  readonly [name: string]: XmlValue;
}

/** Elements that may repeat, and so are arrays even where there is one. */
const LISTS = new Set(['Part', 'Object', 'Tag', 'Rule']);

// Values stay strings and keep their white space: an object's key may be ' 007 '.
const parser = new XMLParser({
  ignoreAttributes: true,
  parseTagValue: false,
  trimValues: false,
  htmlEntities: true,
  isArray: (name) => LISTS.has(name),
});

export const NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/';

/** Writes `<root>…</root>` with its declaration. Arrays repeat their element, undefined is left out. */
export function writeXml(root: string, tree: XmlTree, namespace?: string): string {
  const attributes = namespace === undefined ? '' : ` xmlns="${namespace}"`;
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${root}${attributes}>${writeTree(tree)}</${root}>`;
}

function writeTree(tree: XmlTree): string {
  return Object.entries(tree)
    .map(([name, value]) => writeElement(name, value))
    .join('');
}

function writeElement(name: string, value: XmlValue): string {
  if (value === undefined) return '';
  if (Array.isArray(value)) return value.map((item) => writeElement(name, item)).join('');
  if (typeof value === 'object') return `<${name}>${writeTree(value as XmlTree)}</${name}>`;
  return `<${name}>${escapeText(String(value))}</${name}>`;
}

const ESCAPES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

function escapeText(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: keys may hold control characters; XML must not.
  return text.replace(/[&<>"\u0000-\u001f\u007f]/g, (char) => ESCAPES[char] ?? `&#${char.charCodeAt(0)};`);
}

/** The tree under the element `root` of a body. Throws MalformedXML for anything else. */
export function readXml(text: string, root: string): Record<string, unknown> {
  if (XMLValidator.validate(text) !== true) throw new S3Error('MalformedXML');
  const tree: unknown = parser.parse(text)[root];
  if (tree === undefined) throw new S3Error('MalformedXML');
  // An element without children comes as a string.
  return typeof tree === 'object' ? (tree as Record<string, unknown>) : {};
}
