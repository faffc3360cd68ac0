/**
 * What can be set for a bucket as a whole, in S3's own shapes, so that what Sealift does not look at is written back as it
 * was: all of a policy, and of the others every field that the SDK knows.
 */
import type {
  LifecycleRule,
  ObjectOwnership,
  PublicAccessBlockConfiguration,
  ServerSideEncryptionRule,
  TransitionDefaultMinimumObjectSize,
  VersioningConfiguration,
} from '@aws-sdk/client-s3';

export interface BucketSettings {
  /** JSON. */
  policy: string;
  encryption: ServerSideEncryptionRule;
  versioning: VersioningConfiguration;
  lifecycle: { rules: LifecycleRule[]; leastSize?: TransitionDefaultMinimumObjectSize | undefined };
  ownership: ObjectOwnership;
  publicAccess: PublicAccessBlockConfiguration;
}

export type SettingName = keyof BucketSettings;

/** What the call that sets it is given beside the bucket's name, as SDK and AWS CLI name it. */
export const settingInput = {
  policy: (policy: BucketSettings['policy']) => ({ Policy: policy }),
  encryption: (rule: BucketSettings['encryption']) => ({ ServerSideEncryptionConfiguration: { Rules: [rule] } }),
  versioning: (versioning: BucketSettings['versioning']) => ({ VersioningConfiguration: versioning }),
  lifecycle: ({ rules, leastSize }: BucketSettings['lifecycle']) => ({
    LifecycleConfiguration: { Rules: rules },
    TransitionDefaultMinimumObjectSize: leastSize,
  }),
  ownership: (ownership: BucketSettings['ownership']) => ({
    OwnershipControls: { Rules: [{ ObjectOwnership: ownership }] },
  }),
  publicAccess: (block: BucketSettings['publicAccess']) => ({ PublicAccessBlockConfiguration: block }),
} satisfies { [Name in SettingName]: (value: BucketSettings[Name]) => object };
