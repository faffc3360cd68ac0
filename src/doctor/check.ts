/** What a check of a bucket is: a judgement over one setting, with nothing asked and nothing changed. */
import type { BucketSettings, SettingName } from '../stores/bucket-settings.ts';

/** Where the bucket is, and what is wanted of it beyond what is right for all. */
export interface Wishes {
  bucket: string;
  /** `aws`, `aws-cn` and so on. */
  partition: string;
  /** Requests go over plain HTTP. */
  plainHttp: boolean;
  allowSseC: boolean;
  /** How every object is to be encrypted at rest. */
  requireSse?: { algorithm: string; keyId?: string | undefined } | undefined;
  /** A tag that every object is to come with. */
  requireTag?: { name: string; value: string } | undefined;
}

/** Right, where it is found and nothing else; a gap where there is a remedy, or what the setting has to be. */
export interface Verdict<Value> {
  found: string;
  mended?: Value;
  /** What the change does that its reader might not want. */
  consequence?: string;
  /** Of a gap that no setting closes. */
  remedy?: string;
}

export interface Check<Name extends SettingName> {
  name: string;
  setting: Name;
  /** Whether it is looked at. Default: always. */
  isWanted?(wishes: Wishes): boolean;
  why: string;
  judge(value: BucketSettings[Name] | undefined, wishes: Wishes): Verdict<BucketSettings[Name]>;
}

/** A check of any setting, told by `setting`. */
export type AnyCheck = { [Name in SettingName]: Check<Name> }[SettingName];

/** What a check says of its setting. Whoever calls gives it that setting's value, and no other's. */
export function judge({ judge }: AnyCheck, value: unknown, wishes: Wishes): Verdict<unknown> {
  return judge(value as never, wishes);
}
